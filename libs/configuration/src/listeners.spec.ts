import { hostname } from 'node:os';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { DittoError } from '#kernel';
import { type Identity, makeTestCertificates, type TestCertificates } from '#testing';
import { toAdvertisedAddress, toAdvertisedUrl, toListenerUrl } from './listeners.ts';
import { parseConfig, type ReportedProblem } from './load-config.ts';
import { Secret } from './secret.ts';
import { toServerTlsOptions } from './tls-options.ts';

const TOKEN = 'act-act-act-act-act';
const basic = {
  sources: { shop: { endpoints: [{ host: 'db', user: 'ditto', password: 's' }], include: ['shop.*'] } },
  mongo: { url: 'mongodb://localhost' },
  redis: { url: 'redis://localhost' },
  state: { host: 'db', user: 'ditto', password: 's' },
  auth: { tokens: [{ name: 'a', token: TOKEN, roles: ['operate'] }] },
};

let certificates: TestCertificates;
beforeAll(async () => {
  certificates = await makeTestCertificates();
});

const place = (service: string, kind: string, group: object) => ({ ...basic, [service]: { [kind]: group } });

/** Without those about secrets in plain text. */
function warningsOf(config: object, environment = {}): string[] {
  const warnings: string[] = [];
  parseConfig(JSON.stringify(config), { environment, onWarning: (warning) => warnings.push(warning) });
  return warnings.filter((warning) => !warning.includes('plain text'));
}

function problemsOf(config: object): readonly ReportedProblem[] {
  try {
    parseConfig(JSON.stringify(config));
    return [];
  } catch (error) {
    return error instanceof DittoError ? (error.context['problems'] as readonly ReportedProblem[]) : [];
  }
}

describe.each([
  ['dss', 'http'],
  ['dcs', 'http'],
  ['dcs', 'rpc'],
  ['dws', 'http'],
])('%s.%s', (service, kind) => {
  const path = `${service}.${kind}`;

  it('is warned about where others can reach it and there is no TLS', () => {
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'ditto.example'])
      expect(warningsOf(place(service, kind, { host }))).toEqual([
        expect.stringMatching(
          new RegExp(`^${path} listens on ${host} without TLS.*set ${path}\\.tls, or .*proxy with TLS`),
        ),
      ]);
    const variable = `DITTO_${service}_${kind}_HOST`.toUpperCase();
    expect(warningsOf(basic, { [variable]: '0.0.0.0' })).toHaveLength(1);
    for (const host of ['127.0.0.1', '::1', 'localhost'])
      expect(warningsOf(place(service, kind, { host }))).toEqual([]);
    expect(warningsOf(place(service, kind, { host: '0.0.0.0', tls: certificates.server }))).toEqual([]);
  });

  it('is warned about when its certificate has expired', () => {
    expect(warningsOf(place(service, kind, { tls: certificates.expired }))).toEqual([
      expect.stringMatching(new RegExp(`^${path}\\.tls\\.cert has expired on .*; renew it`)),
    ]);
  });

  it('is refused when its certificate, key or authority can not be used, without a word of them', () => {
    const { server, expired, client } = certificates;
    const refused = (changed: Partial<Identity> & { readonly ca?: string }) => {
      const problems = problemsOf(place(service, kind, { tls: { ...server, ...changed } }));
      expect(JSON.stringify(problems)).not.toMatch(/BEGIN PRIVATE|[A-Za-z0-9+/]{40}/);
      return problems.map((found) => `${found.path}: ${found.problem}`);
    };
    expect(refused({ key: client.key })).toEqual([expect.stringMatching(`^${path}\\.tls\\.key: can not be used`)]);
    expect(refused({ key: 'no key' })).toEqual([expect.stringMatching(`^${path}\\.tls\\.key: can not be used`)]);
    expect(refused({ cert: server.key })).toEqual([`${path}.tls.cert: is not a certificate`]);
    expect(refused({ ca: 'no certificate' })).toEqual([`${path}.tls.ca: is not a certificate`]);
    expect(refused(expired)).toEqual([]);
  });
});

it('asks clients for a certificate where an authority of theirs is given, and takes nothing before TLS 1.2', () => {
  const tls = { cert: 'cert', key: new Secret('key') };
  expect(toServerTlsOptions(undefined)).toBeUndefined();
  expect(toServerTlsOptions(tls)).toEqual({ cert: 'cert', key: 'key', minVersion: 'TLSv1.2' });
  expect(toServerTlsOptions({ ...tls, ca: 'ca' })).toMatchObject({
    ca: 'ca',
    requestCert: true,
    rejectUnauthorized: true,
  });
});

it('has an address that says whether there is TLS', () => {
  const tls = { cert: '', key: new Secret('') };
  expect(toListenerUrl({ host: '10.0.0.1', port: 7401 })).toBe('http://10.0.0.1:7401');
  expect(toListenerUrl({ host: '::1', port: 7401, tls })).toBe('https://[::1]:7401');
});

describe('the address that a service reports', () => {
  const reported = (http: object, environment = {}): string =>
    toAdvertisedUrl(parseConfig(JSON.stringify(place('dss', 'http', http)), { environment }).dss.http);

  it('is where it listens, with the name of the machine for all addresses', () => {
    expect(reported({})).toBe('http://127.0.0.1:7401');
    expect(reported({ host: '10.0.0.1', port: 80, tls: certificates.server })).toBe('https://10.0.0.1:80');
    for (const host of ['0.0.0.0', '::']) expect(reported({ host })).toBe(`http://${hostname()}:7401`);
    expect(toAdvertisedAddress({ host: '0.0.0.0', port: 7502 })).toBe(`${hostname()}:7502`);
    expect(toAdvertisedAddress({ host: '::1', port: 7502 })).toBe('[::1]:7502');
  });

  it('is `advertise` where that is given, in the file or in the environment', () => {
    expect(reported({ host: '0.0.0.0', advertise: 'https://ditto.example/dss/' })).toBe('https://ditto.example/dss');
    const environment = { DITTO_DSS_HTTP_ADVERTISE: 'http://10.1.2.3:7401' };
    expect(reported({ advertise: 'https://ditto.example' }, environment)).toBe('http://10.1.2.3:7401');
  });

  it('is refused where it is no URL', () => {
    for (const advertise of ['ditto.example', 'ftp://ditto.example', 'http://'])
      expect(problemsOf(place('dws', 'http', { advertise }))).toEqual([
        expect.objectContaining({ path: 'dws.http.advertise', problem: expect.stringContaining('http://') }),
      ]);
  });
});
