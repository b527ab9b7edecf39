import { describe, expect, it } from '@jest/globals';
import { requireSection } from './adapter-options.ts';
import { chooseEndpoint } from './choose-endpoint.ts';
import { parseConfig } from './load-config.ts';
import { type SourceConfig } from './schema.ts';

function parseSource(snapshot: string): SourceConfig {
  const { sources } = parseConfig(`
sources:
  shop:
    endpoints:
      - { host: primary, user: ditto, password: secret }
      - { host: replica, port: 3307, user: reader, password: other }
    include: ['shop.*']
    snapshot: ${snapshot}
kafka: { brokers: ['a:1'] }
redis: { url: 'redis://localhost' }
state: { host: db2, user: ditto, password: secret }
`);
  return requireSection(sources['shop'], 'sources.shop');
}

describe('the servers of a source', () => {
  it('streams the log of the first and reads its rows', () => {
    expect(chooseEndpoint(parseSource('{}'))).toEqual({
      streamed: { host: 'primary', port: 3306, user: 'ditto', password: 'secret', tls: false },
      replica: null,
    });
  });

  it('streams another one when the source has moved there, and reads its rows there too', () => {
    expect(chooseEndpoint(parseSource('{}'), 1)).toMatchObject({ streamed: { host: 'replica' }, replica: null });
    expect(chooseEndpoint(parseSource('{ endpoint: 1 }'), 1)).toMatchObject({ replica: null });
    expect(chooseEndpoint(parseSource('{ endpoint: 0 }'), 1)).toMatchObject({ replica: { host: 'primary' } });
  });

  it('reads rows from another one where the configuration names it', () => {
    expect(chooseEndpoint(parseSource('{ endpoint: 1 }'))).toMatchObject({
      streamed: { host: 'primary' },
      replica: { host: 'replica', port: 3307, user: 'reader', password: 'other' },
    });
  });
});
