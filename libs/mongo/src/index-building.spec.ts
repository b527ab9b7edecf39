import { describe, expect, it } from '@jest/globals';
import { type Logger, silentLogger } from '#kernel';
import { mongo } from 'mongoose';
import { IndexBuilding } from './index-building.ts';

type Line = readonly [level: string, message: string, fields: Readonly<Record<string, unknown>> | undefined];

/** A server that gives these answers to `createIndexes`, then confirms. */
function createBuilding(answers: readonly Error[], signal = new AbortController().signal) {
  const lines: Line[] = [];
  const logger: Logger = {
    ...silentLogger,
    info: (message, fields) => void lines.push(['info', message, fields]),
    warn: (message, fields) => void lines.push(['warn', message, fields]),
  };
  const left = [...answers];
  const built: string[] = [];
  const command = ({ createIndexes }: mongo.Document) => {
    const answer = left.shift();
    if (answer !== undefined) return Promise.reject(answer);
    built.push(String(createIndexes));
    return Promise.resolve({ ok: 1 });
  };
  const db = { command } as unknown as mongo.Db;
  return { building: new IndexBuilding({ db, backoff: { initialMs: 0, maxMs: 0 }, logger, signal }), lines, built };
}

async function waitFor(isReached: () => boolean): Promise<void> {
  while (!isReached()) await new Promise((resolve) => setImmediate(resolve));
}

const lost = () => new mongo.MongoNetworkError('connection closed');

describe('the building of indexes', () => {
  it('continues until it works, and reports once why it does not', async () => {
    const { building, lines, built } = createBuilding([lost(), lost(), lost()]);
    building.start('shop.orders');
    building.start('shop.lines');
    await waitFor(() => lines.length >= 6);
    expect(built).toEqual(['shop.orders', 'shop.lines']);
    expect(lines.map(([level, message, fields]) => [level, message, fields?.['collection']])).toEqual([
      ['info', 'building indexes of the mirror', 'shop.orders'],
      ['warn', 'indexes of the mirror are not built yet, trying again', 'shop.orders'],
      ['info', 'it works again', 'shop.orders'],
      ['info', 'built indexes of the mirror', 'shop.orders'],
      ['info', 'building indexes of the mirror', 'shop.lines'],
      ['info', 'built indexes of the mirror', 'shop.lines'],
    ]);
    expect(lines[1]?.[2]).toMatchObject({ code: 'DITTO_MONGO_UNAVAILABLE', error: expect.stringMatching(/closed/) });
  });

  it('reports why it was given up, and builds the indexes of the next collection', async () => {
    const refusal = new mongo.MongoServerError({ message: 'not allowed', code: 13 });
    const { building, lines, built } = createBuilding([refusal]);
    building.start('shop.orders');
    building.start('shop.lines');
    await waitFor(() => built.length > 0);
    expect(built).toEqual(['shop.lines']);
    expect(lines[1]).toEqual([
      'warn',
      'indexes of the mirror were not built',
      expect.objectContaining({ collection: 'shop.orders', error: expect.stringMatching(/not allowed/) }),
    ]);
  });
});
