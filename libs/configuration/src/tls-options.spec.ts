import { beforeAll, describe, expect, it } from '@jest/globals';
import { type DittoError } from '#kernel';
import { makeTestCertificates, type TestCertificates } from '#testing';
import { toMySqlOptions, toStateOptions } from './adapter-options.ts';
import { parseConfig, type ReportedProblem } from './load-config.ts';

let certificates: TestCertificates;
beforeAll(async () => {
  certificates = await makeTestCertificates();
});

/** As YAML too, with a line for each value. */
const write = (tls: { readonly endpoint?: object; readonly section?: object }) => {
  const account = { host: 'db', user: 'u', password: 'p' };
  const { section = {}, endpoint = {} } = tls;
  const config = {
    sources: { shop: { endpoints: [account, { ...account, tls: endpoint }], include: ['shop.*'] } },
    kafka: { brokers: ['a:1'], tls: section },
    mongo: { url: 'mongodb://a/', tls: section },
    redis: { url: 'redis://localhost', tls: section },
    state: { ...account, tls: section },
    dcs: { tls: section },
  };
  return JSON.stringify(config, null, 1);
};

function problemsOf(text: string): readonly ReportedProblem[] {
  try {
    parseConfig(text);
    return [];
  } catch (error) {
    return (error as DittoError).context['problems'] as readonly ReportedProblem[];
  }
}

describe('the options of TLS', () => {
  it('come to the connections as they are configured', () => {
    const { ca, client } = certificates;
    const endpoint = { ca, servername: 'db.test', rejectUnauthorized: false };
    const config = parseConfig(write({ endpoint, section: { ca, ...client } }));
    const [plain, encrypted] = config.sources['shop']?.endpoints ?? [];
    if (plain === undefined || encrypted === undefined) throw new Error('no endpoint');
    expect(toMySqlOptions(encrypted).tls).toEqual(endpoint);
    expect(toMySqlOptions(plain).tls).toBe(false);
    expect(toStateOptions(config.state).tls).toEqual({ ca, ...client, rejectUnauthorized: true });
  });

  it('are refused with place and line where they can never work, without a word of them', () => {
    const { client, foreignClient, expiredClient } = certificates;
    const places = ['sources.shop.endpoints[1].tls', 'kafka.tls', 'mongo.tls', 'redis.tls', 'state.tls', 'dcs.tls'];
    for (const [tls, option, problem] of [
      [{ ca: 'none' }, 'ca', /^is not a certificate/],
      [{ cert: client.cert, key: foreignClient.key }, 'key', /^can not be used with the certificate/],
      [{ cert: client.cert }, 'key', /^is missing/],
    ] as const) {
      const problems = problemsOf(write({ endpoint: tls, section: tls }));
      expect(problems).toMatchObject(
        places.map((place) => ({
          path: `${place}.${option}`,
          line: expect.any(Number),
          problem: expect.stringMatching(problem),
        })),
      );
      expect(JSON.stringify(problems)).not.toMatch(/BEGIN PRIVATE|[A-Za-z0-9+/]{40}|none/);
    }
    expect(problemsOf(write({ section: expiredClient }))).toEqual([]);
  });
});
