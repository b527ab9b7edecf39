import { describe, expect, it } from '@jest/globals';
import { type DittoConfig, parseConfig, requireSection, type SourceConfig } from '#configuration';
import { silentLogger } from '#kernel';
import { Closers } from './closers.ts';
import { createTableNames, openSinks, type SourceSinks } from './open-sinks.ts';

const table = { database: 'shop', table: 'orders' };

function parse(sinks: string): { readonly config: DittoConfig; readonly source: SourceConfig } {
  const config = parseConfig(`
sources:
  eu:
    endpoints: [{ host: db, user: ditto, password: secret }]
    include: ['shop.*']
    sinks: ${sinks}
kafka: { brokers: ['127.0.0.1:1'] }
mongo: { url: 'mongodb://127.0.0.1:1/' }
redis: { url: 'redis://localhost' }
state: { host: db2, user: ditto, password: secret }
`);
  return { config, source: requireSection(config.sources['eu'], 'sources.eu') };
}

function open(sinks: string, signal: AbortSignal, closers = new Closers(silentLogger)): Promise<SourceSinks> {
  const { config, source } = parse(sinks);
  const topicEnds = { load: () => Promise.resolve({ ends: [], losses: [] }) };
  return openSinks({
    source,
    grant: { source: 'eu', owner: 'o', token: 1 },
    config,
    stores: { partitions: {}, topicEnds } as never,
    closers,
    signal,
    logger: silentLogger,
  });
}

describe('the sinks of a source', () => {
  const { signal } = new AbortController();

  it('name a table each in its own way', () => {
    const names = createTableNames(parse('[kafka, mongo]').source);
    for (const ofSink of names) ofSink.claimAll([table]);
    expect(names.map((ofSink) => ofSink.constructor.name)).toEqual(['TopicNames', 'CollectionNames']);
  });

  it('connect to nothing where the only one is Kafka, and have no mirror', async () => {
    const closers = new Closers(silentLogger);
    const sinks = await open('[kafka]', signal, closers);
    expect(sinks.mirror).toBeNull();
    expect(sinks.create(() => false, closers).map(({ name }) => name)).toEqual(['kafka']);
    expect(sinks.recall(closers)).toHaveLength(1);
    expect(await sinks.findLost(closers)).toBeNull();
    await closers.close();
  });

  it('wait for MongoDB until the ownership ends', async () => {
    const ended = AbortSignal.abort(new Error('the ownership ended'));
    await expect(open('[kafka, mongo]', ended)).rejects.toThrow('the ownership ended');
  });
});
