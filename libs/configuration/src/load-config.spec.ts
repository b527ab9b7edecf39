import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, describe, expect, it } from '@jest/globals';
import { DittoError } from '#kernel';
import { makeTestCertificates, TestAuthority, writeIdentity } from '#testing';
import { pino } from 'pino';
import { toMySqlOptions, toStateOptions } from './adapter-options.ts';
import { loadConfig, parseConfig, type ParseConfigOptions, type ReportedProblem } from './load-config.ts';
import { verifiesRecentChanges } from './recent-verification.ts';
import { Secret } from './secret.ts';
import { type DittoConfig } from './schema.ts';
import { type KafkaConfig, toKafkaOptions, toTransactionalId } from './sinks/kafka-section.ts';

const folder = mkdtempSync(join(tmpdir(), 'ditto-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MINIMAL = `
sources:
  shop:
    endpoints: [{ host: db, user: ditto, password: { env: DB_PASSWORD } }]
    include: ['shop.*']
mongo: { url: 'mongodb://a:1,b:2/' }
redis: { url: 'redis://localhost' }
state: { host: db2, user: ditto, password: { file: state-password } }
`;
const environment = { DB_PASSWORD: 'open-sesame' };
writeFileSync(join(folder, 'state-password'), 'very-secret\n');

function parse(text: string, options: ParseConfigOptions = {}) {
  return parseConfig(text, { environment, path: join(folder, 'ditto.yaml'), ...options });
}

function refusal(text: string, options: ParseConfigOptions = {}): DittoError {
  try {
    parse(text, options);
  } catch (error) {
    if (error instanceof DittoError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

function problemsOf(error: DittoError): readonly ReportedProblem[] {
  expect(error).toMatchObject({ code: 'DITTO_CONFIG_INVALID', retriable: false });
  return error.context['problems'] as readonly ReportedProblem[];
}

describe('a good configuration', () => {
  it('is completed with defaults', () => {
    const config = parse(MINIMAL);
    expect(config).toMatchObject({
      kafka: null,
      mongo: { lanes: 4, maxBatchOperations: 1000, maxBatchBytes: 8 * 1024 * 1024, writeConcern: 'majority' },
      redis: { keyPrefix: 'ditto' },
      dss: { http: { host: '127.0.0.1', port: 7401 }, lease: { ttlMs: 6_000 }, inFlightBytes: 8 * 1024 * 1024 },
      dcs: { rpc: { port: 7502 }, endpoints: [{ host: '127.0.0.1', port: 7502 }], recentEvents: { perTable: 1000 } },
      auth: { tokens: [] },
      log: { level: 'info' },
    });
    expect(config.sources['shop']).toMatchObject({
      name: 'shop',
      sinks: ['mongo'],
      snapshot: { mode: 'windowed', chunkRows: 2000 },
      endpoints: [{ port: 3306 }],
    });
    expect(config.sources['shop']?.serverId).toBeGreaterThanOrEqual(1_000_000_000);
    expect(parse(MINIMAL).sources['shop']?.serverId).toBe(config.sources['shop']?.serverId);
  });

  it.each([
    ['', false],
    ['continuousRowsPerSecond: 100', true],
    ['continuousRowsPerSecond: 100, recent: { enabled: false }', false],
    ['recent: { enabled: true }', true],
  ])('verifies recent changes with the pass that never ends, unless it says otherwise: {%s} %s', (text, expected) => {
    expect(verifiesRecentChanges(parse(`${MINIMAL}verification: { ${text} }`))).toBe(expected);
  });

  it('has no source under the name of a member of JavaScript objects, unless one is called so', () => {
    const { sources } = parse(MINIMAL);
    expect(['constructor', 'toString', '__proto__', 'hasOwnProperty'].map((name) => sources[name])).toEqual(
      Array(4).fill(undefined),
    );
    expect(parse(MINIMAL.replace('  shop:', '  constructor:')).sources.constructor.name).toBe('constructor');
  });

  it('takes secrets from the environment and from files relative to its own', () => {
    const config = parse(MINIMAL);
    expect(config.sources['shop']?.endpoints[0]?.password.reveal()).toBe('open-sesame');
    expect(config.state.password.reveal()).toBe('very-secret');
  });

  it('reads a secret again from its file for each new connection, and keeps the last text when the file is empty or gone', () => {
    const file = join(folder, 'db-password');
    writeFileSync(file, 'first');
    const config = parse(MINIMAL.replace('{ env: DB_PASSWORD }', '{ file: db-password }'));
    const endpoint = config.sources['shop']?.endpoints[0];
    if (endpoint === undefined) throw new Error('no endpoint');
    const passwords = ['second\n', '', null].map((text) => {
      if (text === null) rmSync(file);
      else writeFileSync(file, text);
      return toMySqlOptions(endpoint).password;
    });
    expect(passwords).toEqual(['second', 'second', 'second']);
    expect(toStateOptions(config.state).password).toBe('very-secret');
  });

  it('reads certificate, private key and authority again together', async () => {
    const { ca, client, foreignCa, foreignClient } = await makeTestCertificates();
    const save = (texts: object) =>
      Object.entries(texts).forEach(([name, text]) => writeFileSync(join(folder, name), `${text}\n`));
    save({ ca, ...client });
    const tls = 'tls: { ca: { file: ca }, cert: { file: cert }, key: { file: key }, servername: db.test }';
    const config = parse(`${MINIMAL.replace('host: db,', `host: db, ${tls},`)}\nkafka: { brokers: [a:1], ${tls} }\n`);
    save({ ca: foreignCa, ...foreignClient });
    const expected = { ca: foreignCa, ...foreignClient, servername: 'db.test', rejectUnauthorized: true };
    const [endpoint] = config.sources['shop']?.endpoints ?? [];
    expect(toMySqlOptions(endpoint as never).tls).toEqual(expected);
    expect(toKafkaOptions(config.kafka as never).tls).toEqual(expected);
  });

  it.each([
    ['plain', '', ['kafka.sasl sends its password unencrypted; add kafka.tls or use SCRAM']],
    ['plain', ', tls: {}', []],
    ['scram-sha-512', '', []],
  ])('with the login %s%s to Kafka has these warnings: %j', (mechanism, tls, expected) => {
    const warnings: string[] = [];
    const sasl = `sasl: { mechanism: ${mechanism}, username: u, password: { env: DB_PASSWORD } }`;
    parse(`${MINIMAL}\nkafka: { brokers: [a:1], ${sasl}${tls} }\n`, { onWarning: (warning) => warnings.push(warning) });
    expect(warnings).toEqual(expected);
  });

  it.each([
    ['', 0],
    [', tombstoneRetentionMs: 300000', 0],
    [', tombstoneRetentionMs: 299999', 1],
    [', writeConcern: 1, tombstoneRetentionMs: 1000', 2],
  ])('warns of what weakens the mirror: %s', (settings, expected) => {
    const warnings: string[] = [];
    parse(MINIMAL.replace("b:2/'", `$&${settings}`), { onWarning: (warning) => warnings.push(warning) });
    expect(warnings.filter((warning) => warning.startsWith('mongo.'))).toHaveLength(expected);
    if (expected > 0) expect(warnings.at(-1)).toContain('mongo.tombstoneRetentionMs');
  });

  it('is compared with the defaults of what it does not say', () => {
    const parsed = parse(`${MINIMAL}\ndss: { lease: { ttlMs: 4500 } }\n`);
    expect(parsed.dss.lease).toEqual({ ttlMs: 4_500, renewMs: 1_500 });
    expect(() => parse(`${MINIMAL}\ndss: { lease: { ttlMs: 4499 } }\n`)).toThrow('renewMs');
  });

  it('knows that the client kafkajs can not be fenced, and that webhooks have names of their own', () => {
    const kafka = (text: string): DittoConfig => parse(`${MINIMAL}\nkafka: { brokers: [a:1], ${text} }\n`);
    expect(toTransactionalId(kafka('').kafka as KafkaConfig, 'eu')).toBe('ditto-eu');
    expect(toTransactionalId(kafka('clientId: d').kafka as KafkaConfig, 'eu')).toBe('d-eu');
    expect(toTransactionalId(kafka('fencing: none').kafka as KafkaConfig, 'eu')).toBeNull();
    expect(toTransactionalId(kafka('client: kafkajs').kafka as KafkaConfig, 'eu')).toBeNull();
    expect(() => kafka('client: kafkajs, fencing: transactions')).toThrow('kafka.fencing');
    const hook = "{ name: a, url: 'http://a', secret: 0123456789abcdef }";
    expect(() => parse(`${MINIMAL}\nwebhooks: [${hook}, ${hook}]\n`)).toThrow('webhooks[1].name');
  });

  it.each([
    'https://user:a-password@hooks/x',
    'https://a-password@hooks/x',
    'http://hooks:a-password/x',
    'ftp://a-password/x',
  ])('refuses an address of a webhook that can not be called, and does not say it: %s', (url) => {
    const refuse = (): DittoConfig =>
      parse(`${MINIMAL}\nwebhooks: [{ name: a, url: '${url}', secret: 0123456789abcdef }]\n`);
    expect(refuse).toThrow('webhooks[0].url');
    expect(refuse).not.toThrow('a-password');
  });

  it('is frozen to the bottom', () => {
    const thaw = (value: unknown): boolean =>
      typeof value === 'object' && value !== null && (!Object.isFrozen(value) || Object.values(value).some(thaw));
    expect(thaw(parse(MINIMAL))).toBe(false);
  });

  it('never shows a secret, however it is printed', () => {
    const config = parse(MINIMAL);
    const lines: string[] = [];
    const logger = pino({ base: null }, { write: (line: string) => void lines.push(line) });
    logger.info({ config, error: Object.assign(new Error('x'), { config }) }, String(config.state.password));
    const printed = [JSON.stringify(config), inspect(config, { depth: null, showHidden: true }), ...lines].join('\n');
    expect(printed).not.toMatch(/open-sesame|very-secret|mongodb:/);
    expect(printed).toContain('[secret]');
    expect(`x${String(new Secret('open-sesame'))}`).toBe('x[secret]');
  });

  it('takes hosts and ports of listeners from the environment', () => {
    const config = parse(MINIMAL, {
      environment: {
        ...environment,
        DITTO_DSS_HTTP_PORT: '9001',
        DITTO_DCS_RPC_HOST: '127.0.0.5',
        DITTO_DCS_RPC_PORT: '9002',
      },
    });
    expect(config.dss.http).toEqual({ host: '127.0.0.1', port: 9001 });
    expect(config.dcs.endpoints).toEqual([{ host: '127.0.0.5', port: 9002 }]);
  });

  it('is found by DITTO_CONFIG', () => {
    const path = join(folder, 'other.yaml');
    writeFileSync(path, MINIMAL);
    expect(loadConfig({ ...environment, DITTO_CONFIG: path }).redis.keyPrefix).toBe('ditto');
  });

  it('is warned about secrets in plain text and settings that weaken promises', () => {
    const warnings: string[] = [];
    const text = MINIMAL.replace('{ env: DB_PASSWORD }', 'plain')
      .replace('mongodb://a:1,b:2/', 'mongodb://me:pass@a:1/')
      .concat('kafka: { brokers: ["k:9092"], topics: { replicationFactor: 1 } }');
    parse(text, { onWarning: (warning) => warnings.push(warning) });
    expect(warnings).toEqual([
      expect.stringMatching(/^sources\.shop\.endpoints\[0\]\.password is in the file/),
      expect.stringMatching(/^mongo\.url is in the file/),
      expect.stringMatching(/^kafka\.topics\.replicationFactor is 1/),
    ]);
  });

  it('is what the example shows', async () => {
    await writeIdentity(folder, 'server', await (await TestAuthority.create()).issueServer(['localhost']));
    const path = join(import.meta.dirname, '../../../ditto.example.yaml');
    const text = readFileSync(path, 'utf8')
      .replaceAll(/\/run\/secrets\/\w+\.crt/g, 'server.pem')
      .replaceAll(/\/run\/secrets\/\w+\.key/g, 'server-key.pem')
      .replaceAll(/\/run\/secrets\/[\w.-]+/g, 'state-password');
    const names = [...text.matchAll(/env: ([A-Z_]+)/g)].map(([, name]) => name);
    const url: Record<string, string> = { MONGO_URL: 'mongodb://m', REDIS_URL: 'redis://r' };
    const warnings: string[] = [];
    const config = parse(text, {
      environment: Object.fromEntries(names.map((name = '') => [name, url[name] ?? `secret-of-${name}`])),
      onWarning: (warning) => warnings.push(warning),
    });
    expect(config.sources['shop']?.sinks).toEqual(['kafka', 'mongo']);
    expect(warnings).toEqual([]);
  });
});

describe('a bad configuration', () => {
  const bad = `
sources:
  shop:
    endpionts: []
    endpoints:
      - { host: db, prot: 3306, port: 99999, user: ditto, password: { env: NOT_THERE } }
    include: ['shop']
    snapshot: { mode: window, endpoint: 3 }
    switch: { dispatchAfter: replicated }
    sinks: [kafka]
  Shop2: { endpoints: [], include: ['a.b'] }
mongo: { url: 'http://x', maxBatchBytes: 32 Mebi }
redis: { url: hunter2-redis }
state: { host: db2, user: ditto, password: { file: missing-file } }
dss: { http: { host: 0.0.0.0 }, lease: { ttlMs: 1000, renewMs: 900 } }
auht: {}
verification: { schedule: 0 25 * * * }
`;
  const error = refusal(bad);
  const problems = problemsOf(error);

  it.each([
    ['sources.shop.endpionts', 4, /not an option/, /Did you mean 'endpoints'/],
    ['sources.shop.endpoints[0].prot', 6, /not an option/, /Did you mean 'port'/],
    ['sources.shop.endpoints[0].port', 6, /at most 65535, but is 99999/, /Default: 3306/],
    ['sources.shop.endpoints[0].password', 6, /NOT_THERE is not set/, /Set it for this process/],
    ['sources.shop.include[0]', 7, /pattern/, /database\.table/],
    ['sources.shop.snapshot.mode', 8, /one of windowed, none, but is text/, /Default: "windowed"/],
    ['sources.shop.snapshot.endpoint', 8, /is 3, but there are 1/, /from 0/],
    ['sources.shop.switch.replicas', 9, /is 1, but besides .* there are 0/, /Name more/],
    ['sources.shop.sinks[0]', 10, /kafka, which is not configured/, /Add the section kafka/],
    ['sources.Shop2', 11, /name that is not allowed/, /./],
    ['sources.Shop2.endpoints', 11, /at least one server/, /./],
    ['mongo.url', 12, /begins with mongodb/, /Connection string/],
    ['mongo.maxBatchBytes', 12, /size/, /8 MiB/],
    ['redis.url', 13, /begins with redis/, /./],
    ['state.password', 14, /named there can not be read \(ENOENT\)/, /relative/],
    ['dss.http.host', 15, /no token is configured/, /auth\.tokens/],
    ['dss.lease.renewMs', 15, /third/, /./],
    ['auht', 16, /not an option/, /Did you mean 'auth'/],
    ['verification.schedule', 17, /cron expression of five fields.*, but is '0 25 \* \* \*'/, /0 3 \* \* 0/],
  ])('is refused for %s', (path, line, problem, remedy) => {
    expect(problems).toContainEqual({
      path,
      line,
      problem: expect.stringMatching(problem),
      remedy: expect.stringMatching(remedy),
    });
    expect(error.message).toContain(`${path} (line ${line})`);
  });

  it('is refused with each problem once, and with nothing else', () => {
    expect(problems.map(({ path }) => path)).toHaveLength(19);
    expect(new Set(problems.map(({ path }) => path)).size).toBe(19);
  });

  it('does not show secrets in its refusal', () => {
    expect(JSON.stringify([error.message, error.context])).not.toContain('hunter2');
  });

  const marker = 'Kf8-s3cr3t_m4rk3r';
  const places = [
    ...['state', 'redis', 'kafka', 'mongo', 'auth', 'sources', 'dss', 'log', 'dcs', 'dws'].flatMap((section) => [
      `${section}: ${marker}`,
      `${section}: [${marker}]`,
      `${section}: { ${marker}: 1 }`,
      `${section}: { 'mysql://me:${marker}@host': 1 }`,
    ]),
    `state: { host: { ${marker}: x }, user: [${marker}], password: { ${marker}: 1 }, port: ${marker} }`,
    `state: { host: h, user: u, password: [${marker}], tls: ${marker} }`,
    `redis: { url: { url: 'redis://:${marker}@h' } }`,
    `redis: { url: ['redis://:${marker}@h'], tls: { ca: { ${marker}: 1 } } }`,
    `redis: redis://:${marker}@host:1`,
    `mongo: { url: ${marker}, maxBatchBytes: ${marker} }`,
    `kafka: { brokers: ${marker}, sasl: ${marker} }`,
    `kafka: { brokers: [a:1], sasl: { mechanism: ${marker}, username: [${marker}], password: { a: ${marker} } } }`,
    `auth: { tokens: ${marker} }`,
    `auth: { tokens: [${marker}] }`,
    `auth: { tokens: { ${marker}: operate } }`,
    `auth: { tokens: [{ name: a, token: { ${marker}: 1 }, role: ${marker} }], rpcToken: { b: ${marker} } }`,
    `state: { password: { env: ${marker} } }`,
    `state: { password: { file: ${marker} } }`,
    `state: { password: *${marker} }`,
    `state: { password: !${marker} x }`,
    `state: { password: &${marker} x, user: *${marker}x }`,
    `state: { password: !!${marker} x }`,
    `state: { password: "${marker} }`,
    `state:\n  password: ${marker}\n password: ${marker}`,
    `state: { ${marker}: 1, ${marker}: 2 }`,
    `state: {password: ${marker}`,
    marker,
    `${marker}: ${marker}`,
    `? [${marker}]\n: 1`,
    `%${marker} x\n---\na`,
    `state: { password: @${marker} }`,
    `state: { password: \`${marker} }`,
    `state: { password: |${marker} }`,
    `state: { password: x }\n--- ${marker}`,
  ];
  it.each(places)('shows nothing of a secret that is in the wrong place: %s', (text) => {
    const refused = refusal(text);
    expect(JSON.stringify([refused.message, refused.context, refused.remedy, String(refused.cause)])).not.toContain(
      marker,
    );
    expect(inspect(refused, { depth: 9 })).not.toContain(marker);
  });

  it.each([
    ['nothing', '', /sources.*redis.*state/s],
    ['a file that is no YAML', 'a: [1', /line 1, column/],
    ['a name given twice', 'log: {}\nlog: {}', /line 2.*already/s],
    ['a list', '- a', /group of options/],
    ['a port that is not a number in the environment', MINIMAL, /DITTO_DSS_HTTP_PORT is not a number/],
    ['a secret that is a number', MINIMAL.replace('{ env: DB_PASSWORD }', '1234567'), /text \(put quotes around it\)/],
  ])('is refused when it is %s', (_name, text, message) => {
    const refused = refusal(text, { environment: { ...environment, DITTO_DSS_HTTP_PORT: 'http' } });
    expect(refused.message).toMatch(message);
    expect(refused.message).not.toContain('1234567');
  });

  it('is refused when the file is not there', () => {
    expect(() => loadConfig({}, { path: join(folder, 'nowhere.yaml') })).toThrow(/nowhere\.yaml.*DITTO_CONFIG/s);
  });

  it.each(['aaaaaaaa aaaaaaaa', 'aaaaaaaaaaaaaaaä', 'aaaaaaaa=aaaaaaaa', 'aaaaaaaaaaaaaaa,'])(
    'is refused for a token that no request can carry: %s',
    (token) => {
      const found = problemsOf(refusal(`${MINIMAL}auth: { tokens: [{ name: a, token: '${token}' }] }`));
      const refused = found.find(({ path }) => path === 'auth.tokens[0].token');
      expect(refused?.problem).toMatch('bearer token');
      expect(JSON.stringify(found)).not.toContain(token);
    },
  );

  it('is refused when tokens contradict each other', () => {
    const token = 'aaaaaaaaaaaaaaaaaaaaaaaa';
    const auth = `auth: { rpcToken: c, tokens: [{ name: a, token: ${token} }, { name: a, token: ${token} }, { name: b, token: short }] }`;
    const found = problemsOf(refusal(MINIMAL + auth));
    expect(found.map(({ path }) => path).sort()).toEqual([
      'auth.rpcToken',
      'auth.tokens',
      'auth.tokens[1].name',
      'auth.tokens[1].token',
      'auth.tokens[2].token',
    ]);
    expect(JSON.stringify(found)).not.toMatch(/aaaa|short/);
  });
});
