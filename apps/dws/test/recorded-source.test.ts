import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createConnection } from 'mysql2/promise';
import {
  type Checkpoint,
  describeKey,
  lineageOf,
  startVersion,
  type TableLayout,
  transactionEndVersion,
  versionPrefix,
} from '#change-events';
import { DcsCheckpointStore, type DcsClient } from '#dcs-client';
import { connectionOptionsFromUrl, LogEndReader, MySqlEndpoint, openRowReader } from '#mysql';
import { adopt, type Grant, newRecord, planCopy } from '#replication';
import { StateCheckpointStore, StateDatabase, StateLineageStore, StateTableStore } from '#state';
import { testStack, uniqueName } from '#testing';
import { RecordedSource } from '../src/verification/recorded-source.ts';
import { createClient, createDeployment, type Deployment, Instance } from './deployment.ts';

const signal = new AbortController().signal;

describe('what DSS has recorded', () => {
  let deployment: Deployment;
  let dcs: Instance;
  let client: DcsClient;
  let state: StateDatabase;
  let grant: Grant;
  let log: LogEndReader;
  let stream: RecordedSource;
  const database = uniqueName('recorded');

  beforeAll(async () => {
    const stack = await testStack();
    deployment = await createDeployment({ stack, probeIntervalMs: 5000 });
    dcs = await Instance.start('dcs', deployment);
    client = createClient(deployment);
    state = new StateDatabase(deployment.config['state'] as ConstructorParameters<typeof StateDatabase>[0]);
    await state.open(AbortSignal.timeout(20_000));
    const { source } = deployment;
    const granted = await client.acquireLease({ source, owner: 'test', ttlMs: 60_000 });
    if (granted.grant === null) throw new Error('no lease');
    grant = granted.grant;
    log = new LogEndReader(connectionOptionsFromUrl(stack.url('mysql-primary')));
    stream = new RecordedSource({
      source,
      dcs: new DcsCheckpointStore(client),
      state: new StateCheckpointStore(state),
      tables: new StateTableStore(state),
      lineages: new StateLineageStore(state),
      catalogue: { readLayout: () => Promise.resolve(null) },
      log,
    });
  }, 60_000);

  afterAll(async () => {
    await run(`DROP DATABASE IF EXISTS ${database}`);
    log.close();
    await state.close();
    client.close();
    await dcs.close();
  }, 30_000);

  async function run(...statements: readonly string[]): Promise<void> {
    const connection = await createConnection((await testStack()).url('mysql-primary'));
    for (const statement of statements) await connection.query(statement);
    await connection.end();
  }

  async function checkpointNow(lineage: number): Promise<Checkpoint> {
    const endpoint = new MySqlEndpoint(connectionOptionsFromUrl((await testStack()).url('mysql-primary')));
    const { gtidExecuted: gtidSet, serverUuid, logEnd } = await endpoint.inspect(signal);
    const version = transactionEndVersion(versionPrefix(lineage, logEnd.file, logEnd.offset - 1));
    return {
      source: grant.source,
      lineage,
      position: { gtidSet, ...logEnd, serverUuid },
      dispatchedSet: gtidSet,
      undecidedSet: `${serverUuid}:999999`,
      version,
      commitMicros: 1,
      lastCovered: null,
      lastDispatched: null,
      savedAtMs: Date.now(),
    };
  }

  test('I8: a source that never ran has no checkpoint, and no table', async () => {
    await expect(stream.readCheckpoint(signal)).rejects.toMatchObject({ code: 'DITTO_OFFSET_UNKNOWN' });
    expect(await stream.readTable({ database, table: 'orders' }, signal)).toBeNull();
  });

  test('the checkpoint is the newer one of DCS and the state database', async () => {
    await new StateLineageStore(state).raise(grant, 1, 'test');
    const first = await checkpointNow(1);
    await new StateCheckpointStore(state).save(grant, first);
    expect(await stream.readCheckpoint(signal)).toEqual({
      gtidSet: first.position.gtidSet,
      version: first.version,
      undecidedSet: first.undecidedSet,
    });
    await run(`CREATE DATABASE ${database}`);
    const second = await checkpointNow(1);
    await client.putOffset(grant, second);
    expect((await stream.readCheckpoint(signal)).version).toBe(second.version);
  });

  test('a table is read by the layout that was adopted, and its generation grows', async () => {
    await run(
      `CREATE TABLE ${database}.orders (id BIGINT PRIMARY KEY, v DECIMAL(9,2), e ENUM('a','b'), t TIMESTAMP(6) NULL)`,
      `INSERT INTO ${database}.orders VALUES (7, 1.50, 'b', NULL)`,
    );
    const connection = connectionOptionsFromUrl((await testStack()).url('mysql-primary'));
    const reader = openRowReader({ streamed: connection, replica: null, includes: (of) => of === database });
    const table = { database, table: 'orders' };
    const layout = await reader.readLayout(table, signal);
    if (layout === null) throw new Error('no table');
    const adopted = { key: describeKey(layout), since: '', layout };
    const tables = new StateTableStore(state);
    const record = planCopy(adopt(newRecord(table), adopted), 1, { state: 'done', rowsRead: 1 });
    await tables.save(grant, [record, planCopy(newRecord({ database, table: 'other' }), 1, { state: 'none' })]);
    const read = await stream.readTable(table, signal);
    expect(read).toEqual({ generation: 2, copied: 'yes', layout: JSON.parse(JSON.stringify(layout)) as TableLayout });
    expect(await stream.readTable({ database, table: 'Orders' }, signal)).toBeNull();
    expect(await stream.readTable({ database, table: 'other' }, signal)).toMatchObject({ copied: 'never' });
    // what a store gave back reads rows as the layout itself does
    const chunk = { after: null, limit: 10, dispatchedSet: '', signal };
    expect((await reader.readChunk({ ...chunk, layout: read?.layout ?? layout })).rows).toEqual([
      [7, '1.50', 'b', null],
    ]);
    reader.close();
  });

  test('I8: the highest version is above what the log holds by then, and of the newest lineage', async () => {
    await run(`INSERT INTO ${database}.orders VALUES (8, 1, 'a', NULL)`, 'FLUSH BINARY LOGS');
    const latest = await checkpointNow(1);
    await client.putOffset(grant, latest);
    const highest = await stream.readHighestVersion(signal);
    expect(highest > latest.version).toBe(true);
    expect([lineageOf(highest), highest.slice(28)]).toEqual([1, 'f'.repeat(16)]);
    expect(highest < startVersion(1, 'binlog.9999999', 4)).toBe(true);
    await new StateLineageStore(state).raise(grant, 2, 'test');
    expect(await stream.readHighestVersion(signal)).toBe(`00000002${'f'.repeat(36)}`);
  });

  test('while DCS is away the state database says how far the source is', async () => {
    await dcs.close();
    const older = await new StateCheckpointStore(state).load(grant.source);
    expect((await stream.readCheckpoint(signal)).version).toBe(older?.checkpoint.version);
  });
});
