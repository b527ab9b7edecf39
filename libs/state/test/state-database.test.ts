import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type TableRecord } from '#replication';
import {
  StateAuditLog,
  StateCheckpointStore,
  StateDatabase,
  type StateDatabaseOptions,
  StateFencing,
  StateResyncStore,
  StateTableStore,
} from '#state';
import { createStateOptions, queryState } from './state-server.ts';

async function eventually(check: () => Promise<void>): Promise<void> {
  for (const deadline = Date.now() + 5_000; ;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await wait(50);
    }
  }
}

describe('StateDatabase', () => {
  const opened: StateDatabase[] = [];
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((database) => database.close()));
  });

  async function open(options: StateDatabaseOptions): Promise<StateDatabase> {
    const database = new StateDatabase(options);
    opened.push(database);
    await database.open(AbortSignal.timeout(30_000));
    return database;
  }

  test('takes work while it is being opened, and reports what keeps it from that as soon as it is known', async () => {
    const options = await createStateOptions();
    const database = new StateDatabase(options);
    opened.push(database);
    const opening = database.open(AbortSignal.timeout(30_000));
    await database.ping();
    await opening;

    const refused = new StateDatabase({ ...options, password: 'wrong', workTimeoutMs: 60_000 });
    const stop = new AbortController();
    const trying = refused.open(stop.signal).catch(() => undefined);
    await expect(refused.ping()).rejects.toThrow(/not been reached yet: .*denied/i);
    stop.abort();
    await trying;
  });

  test('is created and brought up to date by services that start at the same time, once', async () => {
    const options = await createStateOptions();
    const databases = await Promise.all(Array.from({ length: 4 }, () => open(options)));
    await Promise.all(databases.map((database) => database.ping()));
    const migrations = await queryState(options, `SELECT name FROM ${options.database}.migrations`);
    expect(migrations).toEqual([
      { name: 'CreateState1795300000000' },
      { name: 'AddResync1795400000000' },
      { name: 'AddExcludedColumns1795550000000' },
      { name: 'AddCascadeRereads1795600000000' },
      { name: 'AddCheckpointProof1795700000000' },
      { name: 'AddTableKeys1795750000000' },
      { name: 'ReserveReads1795850000000' },
      { name: 'AddTopicEnds1795910000000' },
      { name: 'AddAuditRepeats1795950000000' },
      { name: 'IndexAuditLog1795960000000' },
      { name: 'AddTableRecords1796000000000' },
      { name: 'AddRequestedReads1796050000000' },
      { name: 'AddUndecidedSet1796100000000' },
      { name: 'AddReadScopes1796110000000' },
      { name: 'AddVerification1796200000000' },
      { name: 'AddRepairs1796300000000' },
      { name: 'AddCoverage1796400000000' },
      { name: 'IndexMismatches1796410000000' },
      { name: 'AddReadPlaces1796414000000' },
      { name: 'AddSecondWay1796461000000' },
      { name: 'AddSwitches1796550000000' },
      { name: 'CountIgnored1796560000000' },
      { name: 'AddFailedEvents1796570000000' },
      { name: 'AcceptLosses1796580000000' },
      { name: 'AddPlacements1796581000000' },
      { name: 'IndexAuditSubjects1796582000000' },
      { name: 'AddNotices1796583000000' },
      { name: 'IndexDueNotices1796584000000' },
      { name: 'CountPlacements1796585000000' },
      { name: 'IndexOpenMismatches1796586000000' },
      { name: 'MarkResyncsOfLosses1796587000000' },
    ]);
  });

  test('has the tables that the entities say', async () => {
    const options = await createStateOptions();
    const database = await open(options);
    const differences = await database.run((manager) => manager.dataSource.driver.createSchemaBuilder().log());
    expect(differences.upQueries.map(({ query }) => query)).toEqual([]);
  });

  test('is opened again with what it held', async () => {
    const options = await createStateOptions();
    const first = await open(options);
    expect(await new StateFencing(first).grant('shop', 'a')).toBe(1);
    await first.close();
    expect(await new StateFencing(await open(options)).grant('shop', 'b')).toBe(2);
  });

  test('continues an upgrade that was cut short', async () => {
    const options = await createStateOptions();
    await (await open(options)).close();
    await queryState(options, `DELETE FROM ${options.database}.migrations`);
    await queryState(options, `DROP TABLE ${options.database}.audit_log`);
    const database = await open(options);
    await database.run((manager) => manager.query('SELECT COUNT(*) FROM audit_log'));
  });

  test('keeps what the audit log had before it was ordered by when things were done last', async () => {
    const options = await createStateOptions();
    const first = await open(options);
    const audit = new StateAuditLog(first, () => 7);
    await audit.record({ actor: 'a', action: 'old', subject: 's' });
    await queryState(options, `UPDATE ${options.database}.audit_log SET last_at_ms = NULL`);
    await audit.record({ actor: 'a', action: 'older', subject: 's' });
    await queryState(options, `UPDATE ${options.database}.audit_log SET last_at_ms = 5 WHERE action = 'older'`);
    await queryState(options, `DELETE FROM ${options.database}.migrations WHERE name LIKE 'IndexAuditLog%'`);
    await first.close();
    const entries = await new StateAuditLog(await open(options)).list({}, { after: null, limit: 5 });
    expect(entries.map(({ action, lastAtMs }) => [action, lastAtMs])).toEqual([
      ['old', 7],
      ['older', 5],
    ]);
  });

  test('a checkpoint from before undecided XA transactions were kept has none', async () => {
    const options = await createStateOptions();
    const first = await open(options);
    await new StateFencing(first).grant('shop', 'a');
    await first.close();
    await queryState(options, `ALTER TABLE ${options.database}.checkpoints DROP COLUMN undecided_set`);
    await queryState(options, `DELETE FROM ${options.database}.migrations WHERE name LIKE 'AddUndecidedSet%'`);
    await queryState(
      options,
      `INSERT INTO ${options.database}.checkpoints
         (source, token, lineage, gtid_set, dispatched_set, log_file, log_offset, server_uuid, version, commit_micros, saved_at_ms)
       VALUES ('shop', 1, 1, '', '', '', 0, '', '', 0, 0)`,
    );
    const checkpoints = new StateCheckpointStore(await open(options));
    expect((await checkpoints.load('shop'))?.checkpoint.undecidedSet).toBe('');
  });

  test('a resync of a loss that Ditto itself gave up, begun by a version that marked it as its own, goes with the loss', async () => {
    const options = await createStateOptions();
    const first = await open(options);
    const begun = { lost: ['dss', null], 'lost for an operator': ['alice', 'alice'], 'asked for': ['alice', null] };
    for (const [source, [resyncPending, askedBy]] of Object.entries(begun)) {
      await new StateFencing(first).grant(source, 'a');
      await queryState(
        options,
        `UPDATE ${options.database}.sources SET resync_pending = '${resyncPending}', switch_to = 'db-2:3306',
           switch_gives_up = 'x:1', switch_asked_by = ${askedBy == null ? 'NULL' : `'${askedBy}'`} WHERE name = '${source}'`,
      );
    }
    await first.close();
    await queryState(options, `DELETE FROM ${options.database}.migrations WHERE name LIKE 'MarkResyncsOfLosses%'`);
    const resyncs = new StateResyncStore(await open(options));
    const pending = await Promise.all(Object.keys(begun).map((source) => resyncs.pendingFor(source)));
    expect(pending).toEqual([{ askedBy: null }, { askedBy: 'alice' }, { askedBy: 'alice' }]);
  });

  test('takes over how far the copies of tables were, also when that is interrupted', async () => {
    const options = await createStateOptions();
    const first = await open(options);
    await first.close();
    const former = (name: string): Promise<unknown> =>
      queryState(
        options,
        `CREATE TABLE ${options.database}.${name} (
           source VARCHAR(128) NOT NULL, database_name VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL,
           state VARCHAR(16) NOT NULL, last_key MEDIUMTEXT NULL, rows_read BIGINT UNSIGNED NOT NULL,
           estimated_rows BIGINT UNSIGNED NOT NULL, reason TEXT NULL, ends_below VARCHAR(44) NULL,
           asked_again BOOLEAN NOT NULL DEFAULT FALSE, PRIMARY KEY (source, database_name, table_name)
         ) COLLATE utf8mb4_bin`,
      );
    const upgrade = async (): Promise<readonly TableRecord[]> => {
      await queryState(options, `DELETE FROM ${options.database}.migrations WHERE name LIKE 'AddTableRecords%'`);
      return new StateTableStore(await open(options)).load('shop');
    };
    await queryState(options, `DROP TABLE ${options.database}.table_records`);
    await former('table_snapshots');
    await queryState(
      options,
      `INSERT INTO ${options.database}.table_snapshots VALUES
         ('shop', 'd', 'a', 'pending', NULL, 0, 7, NULL, NULL, FALSE),
         ('shop', 'd', 'b', 'pending', NULL, 0, 7, NULL, '', FALSE),
         ('shop', 'd', 'c', 'running', '["ü\\\\"x",1]', 5, 7, NULL, NULL, FALSE),
         ('shop', 'd', 'd', 'running', NULL, 0, 7, NULL, 'f00', TRUE),
         ('shop', 'd', 'e', 'done', '[9]', 9, 7, NULL, NULL, FALSE),
         ('shop', 'd', 'f', 'unavailable', NULL, 0, 7, 'no "key"', NULL, FALSE)`,
    );
    const copying = { state: 'copying', goneBelow: null, again: false } as const;
    const expected = [
      { state: 'pending', endsGone: false },
      { state: 'pending', endsGone: true },
      { ...copying, after: '["ü\\"x",1]', rowsRead: 5 },
      { ...copying, after: null, rowsRead: 0, goneBelow: 'f00', again: true },
      { state: 'done', rowsRead: 9 },
      { state: 'unavailable', reason: 'no "key"' },
    ];
    await queryState(
      options,
      `CREATE TABLE ${options.database}.table_keys (
         source VARCHAR(128) NOT NULL, database_name VARCHAR(64) NOT NULL, table_name VARCHAR(64) NOT NULL,
         key_columns TEXT NOT NULL, since VARCHAR(44) NOT NULL, PRIMARY KEY (source, database_name, table_name)
       ) COLLATE utf8mb4_bin`,
    );
    await queryState(
      options,
      `INSERT INTO ${options.database}.table_keys VALUES
         ('shop', 'd', 'e', '[["i\\\\"d","integer",0]]', 'f01'), ('shop', 'd', 'g', '[]', '')`,
    );
    const records = await upgrade();
    expect(records.map(({ copy }) => copy)).toEqual([...expected, { state: 'none' }]);
    expect(records.slice(4).map(({ adopted }) => adopted)).toEqual([
      { key: '[["i\\"d","integer",0]]', since: 'f01', layout: null },
      null,
      { key: '[]', since: '', layout: null },
    ]);
    await former('former_table_snapshots');
    await queryState(
      options,
      `INSERT INTO ${options.database}.former_table_snapshots VALUES ('shop', 'd', 'e', 'pending', NULL, 0, 7, NULL, NULL, FALSE)`,
    );
    expect((await upgrade())[4]).toMatchObject({
      copy: { state: 'pending', endsGone: false },
      adopted: { since: 'f01' },
    });
  });

  test('says that it is unavailable, to be tried again, before it was reached and when nobody listens', async () => {
    const database = new StateDatabase({ ...(await createStateOptions()), host: '127.0.0.1', port: 1 });
    const unavailable = { code: 'DITTO_STATE_UNAVAILABLE', retriable: true };
    await expect(new StateCheckpointStore(database).load('shop')).rejects.toMatchObject(unavailable);
    await expect(database.open(AbortSignal.timeout(700))).rejects.toMatchObject({ name: 'TimeoutError' });
    await expect(database.ping()).rejects.toMatchObject(unavailable);
  });

  test('says why a server refuses it, and is opened as soon as that ends', async () => {
    const options = await createStateOptions();
    const user = options.database;
    const database = new StateDatabase({ ...options, user, password: 'new' });
    opened.push(database);
    await queryState(options, `CREATE USER '${user}' IDENTIFIED BY 'old'`);
    await queryState(options, `GRANT ALL ON \`${options.database}\`.* TO '${user}'`);
    const opening = database.open(AbortSignal.timeout(20_000));
    const denied = {
      code: 'DITTO_STATE_ACCESS_DENIED',
      retriable: true,
      message: expect.stringContaining('Access denied'),
      remedy: expect.stringContaining('password'),
    };
    await eventually(() => expect(database.ping()).rejects.toMatchObject(denied));
    await queryState(options, `ALTER USER '${user}' IDENTIFIED BY 'new'`);
    await opening;
    await database.ping();
    await queryState(options, `DROP USER '${user}'`);
  });

  test('says when it was opened for the first time, and waits no longer than it may', async () => {
    const options = await createStateOptions();
    const database = new StateDatabase(options);
    opened.push(database);
    const stop = new AbortController();
    const seen: string[] = [];
    const stopped = database.whenOpened(stop.signal).then(() => seen.push(database.isOpen ? 'open' : 'stopped'));
    const waiting = database.whenOpened(AbortSignal.timeout(30_000)).then(() => seen.push('opened'));
    stop.abort(new Error('stopped'));
    await stopped;
    expect(seen).toEqual(['stopped']);
    await database.open(AbortSignal.timeout(30_000));
    await waiting;
    await database.close();
    await database.whenOpened(AbortSignal.timeout(30_000));
    expect(seen).toEqual(['stopped', 'opened']);
  });

  test('continues by itself after its connections were killed', async () => {
    const options = await createStateOptions();
    const database = await open(options);
    const ids = await queryState(
      options,
      `SELECT id FROM information_schema.processlist WHERE db = '${options.database}'`,
    );
    for (const row of ids) await queryState(options, `KILL ${String(row['id'] ?? row['ID'])}`);
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        await database.ping();
        break;
      } catch (error) {
        expect(error).toMatchObject({ code: 'DITTO_STATE_UNAVAILABLE' });
      }
    }
    await database.ping();
  });
});
