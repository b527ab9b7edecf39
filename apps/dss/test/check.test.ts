import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createConnection, type Connection } from 'mysql2/promise';
import { type Stack } from '#stack';
import { makeTestCertificates, testStack, uniqueName, writeIdentity } from '#testing';
import { type CheckReport } from '../src/cli/check.ts';
import { runCommand } from '../src/cli/run-command.ts';

const cli = join(import.meta.dirname, '../../../dist/ditto.mjs');
const PASSWORD = 'right-password';

interface Server {
  readonly host: string;
  readonly port: number;
}

describe('ditto check', () => {
  const database = uniqueName('check');
  const full = uniqueName('full').slice(0, 32);
  const poor = uniqueName('poor').slice(0, 32);
  const source = uniqueName('shop');
  let stack: Stack;
  let primary: Connection;
  let state: Connection;
  let folder: string;

  beforeAll(async () => {
    stack = await testStack();
    folder = await mkdtemp(join(tmpdir(), 'ditto-check-'));
    primary = await connect('mysql-primary');
    await primary.query(`CREATE DATABASE ${database}`);
    await primary.query(`CREATE TABLE ${database}.orders (id INT PRIMARY KEY, note TEXT)`);
    await primary.query(`CREATE TABLE ${database}.hidden (id INT PRIMARY KEY)`);
    await primary.query(`CREATE USER '${full}'@'%' IDENTIFIED BY '${PASSWORD}'`);
    await primary.query(`GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '${full}'@'%'`);
    await primary.query(`GRANT SELECT ON ${database}.* TO '${full}'@'%'`);
    await primary.query(`CREATE USER '${poor}'@'%' IDENTIFIED BY '${PASSWORD}'`);
    await primary.query(`GRANT SELECT ON ${database}.orders TO '${poor}'@'%'`);
    state = await connect('mysql-state');
    await state.query(`CREATE USER '${full}'@'%' IDENTIFIED BY '${PASSWORD}'`);
    await state.query(`GRANT ALL ON \`${database.replace('_', '\\_')}\`.* TO '${full}'@'%'`);
    await state.query(`CREATE USER '${poor}'@'%' IDENTIFIED BY '${PASSWORD}'`);
    await state.query(`GRANT SELECT, INSERT ON ${database}.* TO '${poor}'@'%'`);
  }, 60_000);

  afterAll(async () => {
    await primary.query(`DROP DATABASE ${database}`);
    for (const server of [primary, state]) {
      for (const user of [full, poor]) await server.query(`DROP USER '${user}'@'%'`);
      await server.end();
    }
    await rm(folder, { recursive: true, force: true });
  }, 30_000);

  async function connect(server: 'mysql-primary' | 'mysql-state'): Promise<Connection> {
    const { host, port, user, password: secret } = stack.endpoint(server);
    return createConnection({ host, port, user: user ?? '', password: secret ?? '' });
  }

  const address = (server: 'mysql-primary' | 'mysql-replica' | 'mysql-state'): Server => {
    const { host, port } = stack.endpoint(server);
    return { host, port };
  };

  const createConfig = () => ({
    sources: {
      [source]: {
        endpoints: [{ ...address('mysql-primary'), user: full, password: PASSWORD }],
        include: [`${database}.*`],
      },
    },
    kafka: { brokers: stack.url('kafka').split(',') },
    mongo: { url: stack.url('mongo') },
    redis: { url: stack.url('redis') },
    state: { ...address('mysql-state'), user: full, password: PASSWORD, database },
    dcs: { endpoints: ['127.0.0.1:1'], timeoutMs: 500 },
  });

  async function check(config: object): Promise<{ code: number; report: CheckReport }> {
    const path = join(folder, `${uniqueName('ditto')}.yaml`);
    await writeFile(path, JSON.stringify(config));
    const printed: string[] = [];
    const context = { environment: {}, print: (text: string) => void printed.push(text), complain: () => undefined };
    const code = await runCommand(['check', '--config', path, '--json'], context);
    return { code, report: JSON.parse(printed.join('')) as CheckReport };
  }

  const listErrors = ({ findings }: CheckReport) =>
    findings.filter(({ severity }) => severity === 'error').map(({ subject, code }) => `${subject}: ${code}`);

  test('a good configuration ends with 0; what is risky, or not up yet, is only warned of', async () => {
    const { code, report } = await check(createConfig());
    expect(listErrors(report)).toEqual([]);
    expect(code).toBe(0);
    expect(report.checked).toEqual([
      'configuration',
      `source ${source}`,
      expect.stringContaining(`source ${source}, 127.0.0.1:`),
      expect.stringContaining('state database'),
      expect.stringContaining('Kafka'),
      'MongoDB',
      'Redis',
      'DCS, 127.0.0.1:1',
    ]);
    const warnings = report.findings.map(({ code: found }) => found);
    expect(warnings).toEqual(
      expect.arrayContaining(['DITTO_KAFKA_FEW_REPLICAS', 'DITTO_STATE_NOT_CREATED', 'DITTO_DCS_UNAVAILABLE']),
    );
    expect(report.findings.every(({ remedy }) => remedy.length > 0)).toBe(true);
  }, 60_000);

  test('as a command it prints its report and no warning of Node', async () => {
    const path = join(folder, 'as-a-command.yaml');
    await writeFile(path, JSON.stringify(createConfig()));
    const args = ['--trace-warnings', cli, 'check', '--config', path];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    expect(stderr).toBe('');
    expect(stdout).toContain('no errors');
    expect(stdout).toContain('Kafka, ');
  }, 60_000);

  test('listeners that others can reach without TLS, and expired certificates, are warned of', async () => {
    const { expired, server } = await makeTestCertificates();
    const paths = await writeIdentity(folder, 'expired', expired);
    const { code, report } = await check({
      ...createConfig(),
      auth: { tokens: [{ name: 'services', token: 'act-act-act-act-act', roles: ['operate'] }] },
      dss: { http: { host: '0.0.0.0' } },
      dcs: { ...createConfig().dcs, http: { host: '::', tls: server }, rpc: { host: '0.0.0.0' } },
      dws: { http: { tls: { cert: { file: paths.cert }, key: { file: paths.key } } } },
    });
    const risks = report.findings.filter(({ message }) => /^d.s\..*(without TLS|expired)/.test(message));
    expect(risks).toMatchObject([
      {
        code: 'DITTO_CONFIG_RISK',
        message: expect.stringMatching(/^dss\.http listens on 0\.0\.0\.0 .*dss\.http\.tls/),
      },
      { code: 'DITTO_CONFIG_RISK', message: expect.stringMatching(/^dcs\.rpc listens on 0\.0\.0\.0 .*dcs\.rpc\.tls/) },
      { code: 'DITTO_CONFIG_RISK', message: expect.stringMatching(/^dws\.http\.tls\.cert has expired/) },
    ]);
    expect(code).toBe(0);
  }, 60_000);

  test('changes nothing: neither topics, nor databases', async () => {
    await check(createConfig());
    const [rows] = await state.query('SHOW DATABASES LIKE ?', [database]);
    expect(rows).toEqual([]);
    const { report } = await check({
      ...createConfig(),
      kafka: { ...createConfig().kafka, topics: { create: false } },
    });
    expect(listErrors(report)).toEqual([expect.stringMatching(/^Kafka, .*: DITTO_KAFKA_TOPIC_MISSING$/)]);
  }, 60_000);

  test('wrong passwords, missing grants, and servers that are gone are all named at once', async () => {
    const good = createConfig();
    const endpoints = [
      { ...address('mysql-primary'), user: full, password: 'wrong' },
      { ...address('mysql-primary'), user: poor, password: PASSWORD },
      { host: '127.0.0.1', port: 1, user: full, password: PASSWORD },
    ];
    const { code, report } = await check({
      ...good,
      sources: { [source]: { ...good.sources[source], endpoints } },
      kafka: { brokers: ['127.0.0.1:1'] },
      mongo: { url: stack.url('mongo').replace(/:[^:@/]+@/, ':wrong@') },
      redis: { url: 'redis://127.0.0.1:1' },
      state: { ...good.state, user: poor },
    });
    expect(code).toBe(1);
    const { port } = address('mysql-primary');
    expect(listErrors(report)).toEqual([
      `source ${source}, 127.0.0.1:${port}: DITTO_SOURCE_ACCESS_DENIED`,
      `source ${source}, 127.0.0.1:${port}: DITTO_SOURCE_GRANT_MISSING`,
      `source ${source}, 127.0.0.1:${port}: DITTO_SOURCE_GRANT_MISSING`,
      `source ${source}, 127.0.0.1:1: DITTO_SOURCE_UNREACHABLE`,
      `state database, 127.0.0.1:${address('mysql-state').port}: DITTO_STATE_GRANT_MISSING`,
      'Kafka, 127.0.0.1:1: DITTO_KAFKA_UNAVAILABLE',
      'MongoDB: DITTO_MONGO_ACCESS_DENIED',
      'Redis: DITTO_REDIS_UNAVAILABLE',
    ]);
    const remedies = report.findings.map(({ remedy }) => remedy).join('\n');
    expect(remedies).toContain(`GRANT REPLICATION SLAVE ON *.* TO '${poor}'@'%'`);
    expect(remedies).toMatch(/GRANT UPDATE, DELETE, CREATE, ALTER, INDEX ON/);
    expect(JSON.stringify(report)).not.toContain(PASSWORD);
  }, 60_000);

  test('wrong settings of a server are named with the statement that fixes them', async () => {
    // the settings of the primary are shared with other tests; nobody reads the log of the state server
    const [rows] = await state.query(
      'SELECT @@GLOBAL.binlog_row_image AS image, @@GLOBAL.binlog_row_metadata AS metadata',
    );
    const [before] = rows as { image: string; metadata: string }[];
    await state.query("SET GLOBAL binlog_row_image = 'MINIMAL', GLOBAL binlog_row_metadata = 'MINIMAL'");
    try {
      const good = createConfig();
      const { user, password: secret } = stack.endpoint('mysql-state');
      const endpoints = [{ ...address('mysql-state'), user: user ?? '', password: secret ?? '' }];
      const { code, report } = await check({ ...good, sources: { [source]: { endpoints, include: ['sys.*'] } } });
      expect(code).toBe(1);
      expect(listErrors(report)).toEqual(
        expect.arrayContaining([
          expect.stringContaining('DITTO_SOURCE_ROW_IMAGE'),
          expect.stringContaining('DITTO_SOURCE_METADATA_MINIMAL'),
          expect.stringContaining('DITTO_STATE_ON_SOURCE'),
        ]),
      );
      expect(report.findings.map(({ remedy }) => remedy)).toContain('SET PERSIST binlog_row_image = FULL;');
    } finally {
      await state.query(
        `SET GLOBAL binlog_row_image = '${before?.image ?? 'FULL'}', GLOBAL binlog_row_metadata = '${before?.metadata ?? 'FULL'}'`,
      );
    }
  }, 60_000);

  test('excluded columns: a key is refused, a pattern that matches nothing is warned of', async () => {
    const good = createConfig();
    const run = (...excludeColumns: string[]) =>
      check({ ...good, sources: { [source]: { ...good.sources[source], excludeColumns } } });
    const listed = ({ findings }: CheckReport) =>
      findings.flatMap(({ code, message }) => (code.includes('_COLUMN') ? [`${code}: ${message}`] : []));
    const fine = await run(`${database}.orders.note`);
    expect([fine.code, listed(fine.report)]).toEqual([0, []]);
    const idle = await run(`${database}.orders.note`, `${database}.orders.nope`, '*.hidden.x*');
    expect([idle.code, listed(idle.report)]).toEqual([
      0,
      [expect.stringMatching(/^DITTO_SOURCE_NO_COLUMNS: .*orders\.nope, \*\.hidden\.x\*,/)],
    ]);
    const keys = await run(`${database}.*.i*`);
    expect([keys.code, listed(keys.report)]).toEqual([
      1,
      [expect.stringMatching(/^DITTO_SOURCE_COLUMN_NEEDED: .*\.hidden\.id, .*\.orders\.id$/)],
    ]);
    const wrong = await run('orders.note');
    expect([wrong.code, wrong.report.findings.map(({ message }) => message)]).toEqual([
      1,
      [expect.stringMatching(/excludeColumns.*database\.table\.column/)],
    ]);
  }, 60_000);

  test('a bad file is refused with every problem, and nothing else is tried', async () => {
    const { code, report } = await check({ ...createConfig(), redis: { url: 'http://x' }, speed: 'high' });
    expect(code).toBe(1);
    expect(report.checked).toEqual(['configuration']);
    expect(report.findings.map(({ message }) => message)).toEqual([
      expect.stringContaining('redis.url'),
      expect.stringContaining('speed'),
    ]);
  });
});

describe('the command line', () => {
  async function run(...args: string[]): Promise<{ code: number; printed: string; complaint: string }> {
    const printed: string[] = [];
    const complaints: string[] = [];
    const print = (text: string) => void printed.push(text);
    const code = await runCommand(args, { environment: {}, print, complain: (text) => void complaints.push(text) });
    return { code, printed: printed.join('\n'), complaint: complaints.join('\n') };
  }

  test('without arguments prints how it is used', async () => {
    expect(await run()).toMatchObject({ code: 0, printed: expect.stringMatching(/^usage: npm run ditto/) });
  });

  test('prints the JSON Schema of the configuration', async () => {
    expect(JSON.parse((await run('schema')).printed)).toMatchObject({ title: 'ditto.yaml' });
  });

  test.each([['chekc'], ['check', '--jsn'], ['check', 'this'], ['check', '--config']])(
    'refuses %s',
    async (...args) => {
      const { code, printed, complaint } = await run(...args);
      expect({ code, printed }).toEqual({ code: 2, printed: '' });
      expect(complaint).toMatch(/\n\nusage: /);
    },
  );

  test('shows errors before warnings, each with its remedy', async () => {
    const { code, printed } = await run('check', '--config', '/nowhere/ditto.yaml');
    expect(code).toBe(1);
    expect(printed).toMatch(
      /^ERRORS\n\nconfiguration\n {2}- .+ \[DITTO_CONFIG_INVALID\]\n {6}\S.+\n\n1 error, no warnings/,
    );
  });
});
