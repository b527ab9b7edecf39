import { describe, expect, it } from '@jest/globals';
import { toMySqlOptions, toStateOptions } from './adapter-options.ts';
import { parseConfig } from './load-config.ts';

const config = parseConfig(`
sources:
  shop:
    endpoints: [{ host: db, user: u, password: p, tls: { ca: A, servername: db.test, rejectUnauthorized: false } }]
    include: ['shop.*']
mongo: { url: 'mongodb://a/' }
redis: { url: 'redis://localhost' }
state: { host: db2, user: u, password: p, tls: { ca: B, cert: C, key: K } }
`);

describe('the options of TLS', () => {
  it('come to the connections as they are configured', () => {
    const [endpoint] = config.sources['shop']?.endpoints ?? [];
    if (endpoint === undefined) throw new Error('no endpoint');
    expect(toMySqlOptions(endpoint).tls).toEqual({ ca: 'A', servername: 'db.test', rejectUnauthorized: false });
    expect(toMySqlOptions({ ...endpoint, tls: undefined }).tls).toBe(false);
    expect(toStateOptions(config.state).tls).toEqual({ ca: 'B', cert: 'C', key: 'K', rejectUnauthorized: true });
  });
});
