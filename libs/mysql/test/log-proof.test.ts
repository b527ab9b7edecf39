import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { GtidSet, type LoggedTransaction } from '#change-events';
import { type DittoError } from '#kernel';
import { assertPosition, connectionOptionsFromUrl, type EndpointInspection, LogProof, MySqlEndpoint } from '#mysql';
import { OwnServer, testStack } from '#testing';
import { createConnection } from 'mysql2/promise';
import { TestSource } from './test-source.ts';

const never = new AbortController().signal;
const OTHER_SERVER = '22222222-2222-2222-2222-222222222222';
const names = { mysql: 'mysql-primary', mariadb: 'mariadb' } as const;
const kinds = ['mysql', 'mariadb'] as const;

const servers = {} as Record<(typeof kinds)[number], OwnServer>;
const sources = {} as Record<(typeof kinds)[number], TestSource>;

beforeAll(async () => {
  await Promise.all(
    kinds.map(async (kind) => {
      servers[kind] = await OwnServer.start(names[kind]);
      sources[kind] = await TestSource.open('proof', servers[kind].url);
    }),
  );
}, 300_000);
afterAll(async () => {
  for (const kind of kinds) {
    await sources[kind].close();
    await servers[kind].end();
  }
});

describe.each(kinds)('the log of a server (%s)', (kind) => {
  const run = (...statements: readonly string[]): Promise<void> => sources[kind].run(...statements);
  const inspect = (): Promise<EndpointInspection> => new MySqlEndpoint(sources[kind].connection).inspect(never);
  const proof = (): LogProof => new LogProof(sources[kind].connection);

  /** A new log with these transactions in a table of its own. */
  async function reset(to = 1, ...statements: readonly string[]): Promise<void> {
    await run(
      'DROP TABLE IF EXISTS t',
      'CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)',
      `${kind === 'mysql' ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER'} TO ${to}`,
      ...statements,
    );
  }

  /** What the stream says of all transactions, in order. */
  async function streamed(): Promise<LoggedTransaction[]> {
    const { serverUuid } = await inspect();
    const all: LoggedTransaction[] = [];
    const items = await sources[kind].readItems('', undefined, () => true);
    items.forEach((item, index) => {
      if (item.type !== 'begin') return;
      const { gtid, file, offset, commitMicros } = item.transaction;
      const end = items.slice(index).find(({ type }) => type === 'end');
      const digest = end?.type === 'end' ? (end.digest ?? '') : '';
      all.push({ gtid: gtid ?? '', serverUuid, lineage: 1, file, offset, commitMicros, digest });
    });
    return all;
  }

  async function last(): Promise<LoggedTransaction> {
    return (await streamed()).at(-1) as LoggedTransaction;
  }

  async function prove(...known: readonly LoggedTransaction[]): Promise<DittoError | null> {
    return proof()
      .prove(await inspect(), known, never)
      .then(
        () => null,
        (error: unknown) => error as DittoError,
      );
  }

  const elsewhere = (logged: LoggedTransaction): LoggedTransaction => ({
    ...logged,
    serverUuid: OTHER_SERVER,
    file: 'other.000009',
    offset: 4711,
  });

  test('I7: holds each transaction as it was streamed: found at its place, and by GTID where the place is of another server', async () => {
    await reset(
      1,
      "INSERT INTO t VALUES (1, 'a'), (2, REPEAT('b', 3000000))",
      'START TRANSACTION',
      "INSERT INTO t VALUES (3, 'c')",
      "UPDATE t SET v = 'd' WHERE id < 3",
      'COMMIT',
      'ALTER TABLE t ADD COLUMN more INT',
      'FLUSH BINARY LOGS',
      'DELETE FROM t WHERE id = 1',
      'FLUSH BINARY LOGS',
      'INSERT INTO t VALUES (4, NULL, 5)',
      "XA START 'x'",
      'INSERT INTO t VALUES (5, NULL, 5)',
      "XA END 'x'",
      "XA PREPARE 'x'",
      "XA COMMIT 'x'",
    );
    const all = await streamed();
    expect(all).toHaveLength(6);
    expect(new Set(all.map(({ digest }) => digest)).size).toBe(kind === 'mysql' ? 1 : 6);
    expect(await prove(...all)).toBeNull();
    const found = await proof().prove(await inspect(), all.map(elsewhere), never);
    expect(found.map((one) => ({ ...one, lineage: 1 }))).toEqual(all);
  });

  test('I7: that was reset and has since passed the numbers is not the same', async () => {
    await reset(1, "INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'b')");
    const [first, second] = (await streamed()) as [LoggedTransaction, LoggedTransaction];
    // the same places and sizes, and more transactions than before
    await reset(1, ...[1, 2, 3, 4].map((id) => `INSERT INTO t VALUES (${id}, 'z')`));
    for (const logged of [first, second, elsewhere(first), elsewhere(second)])
      expect(await prove(logged)).toMatchObject({ code: 'DITTO_SOURCE_LOG_REPLACED', retriable: false });
    const [again] = await streamed();
    expect(again).toMatchObject({ gtid: first.gtid, file: first.file, offset: first.offset });
  });

  test.each([1, 7])('I7: nor one that begins with file %d and has other places', async (to) => {
    await reset(1, "INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'b')");
    const known = await streamed();
    await reset(
      to,
      "INSERT INTO t VALUES (1, 'longer than before')",
      ...[2, 3].map((id) => `INSERT INTO t VALUES (${id}, 'z')`),
    );
    for (const logged of known)
      expect(await prove(logged)).toMatchObject({ code: 'DITTO_SOURCE_LOG_REPLACED', retriable: false });
  });

  test('I7: nor one that ends before the place', async () => {
    await reset(1, "INSERT INTO t VALUES (1, REPEAT('a', 10000))", "INSERT INTO t VALUES (2, 'b')");
    const known = await last();
    await reset(1, "INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'b')");
    expect(await prove(known)).toMatchObject({ code: 'DITTO_SOURCE_LOG_REPLACED' });
  });

  test('I7: proves nothing where the file that held the transaction is purged', async () => {
    await reset(1, "INSERT INTO t VALUES (1, 'a')");
    const known = await last();
    await run('FLUSH BINARY LOGS', "INSERT INTO t VALUES (2, 'b')");
    const { file } = await last();
    await run(`PURGE BINARY LOGS TO '${file}'`);
    for (const logged of [known, elsewhere(known)])
      expect(await prove(logged)).toMatchObject({ code: 'DITTO_SOURCE_LOG_UNPROVEN', retriable: false });
  });

  test('I7: a stream that continues after a transaction looks for it first', async () => {
    await reset(1, "INSERT INTO t VALUES (1, 'a')");
    const known = await last();
    const { gtidExecuted: gtidSet, serverUuid } = await inspect();
    await reset(1, "INSERT INTO t VALUES (1, 'b')", "INSERT INTO t VALUES (2, 'b')");
    const from = { gtidSet, file: known.file, offset: known.offset, serverUuid };
    const stream = sources[kind].source().stream({ from, proof: [known, null], includes: () => true, signal: never });
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'DITTO_SOURCE_LOG_REPLACED' });
  });

  test('the last transaction is known at the start, also after files without any', async () => {
    await reset();
    expect(await proof().findLast(await inspect(), never)).toBeNull();
    await run("INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'b')");
    const { lineage, ...known } = await last();
    const before = await inspect();
    await run('FLUSH BINARY LOGS', 'FLUSH BINARY LOGS');
    expect({ ...(await proof().findLast(before, never)), lineage }).toMatchObject({ gtid: expect.any(String) });
    expect(
      await proof().findLast({ ...before, gtidExecuted: executedUntil(before.gtidExecuted, known.gtid) }, never),
    ).toEqual(known);
  });

  test('of several servers with gaps in their numbers the log says which transaction is the last', async () => {
    const others = kind === 'mysql' ? mysqlGtids : mariaDbGtids;
    await reset(
      1,
      ...others.flatMap((set, id) => [...set, `INSERT INTO t VALUES (${id}, 'x')`]),
      ...(kind === 'mysql' ? ["SET gtid_next = 'AUTOMATIC'"] : ['SET gtid_domain_id = 0']),
    );
    const found = await proof().findLast(await inspect(), never);
    expect(found?.gtid).toBe(kind === 'mysql' ? '33333333-3333-3333-3333-333333333333:blue:9' : '7-4-50');
    expect(await prove({ ...(found as LoggedTransaction), lineage: 1 })).toBeNull();
    expect(await prove(elsewhere({ ...(found as LoggedTransaction), lineage: 1 }))).toBeNull();
  });
});

test('I7: a replica holds the transactions of its source with their first commit time, also under tags', async () => {
  const source = await TestSource.open('proof');
  try {
    await source.run('CREATE TABLE t (id INT PRIMARY KEY)');
    const from = await source.executedSet();
    await source.tagTransactions();
    await source.run('INSERT INTO t VALUES (1)', 'INSERT INTO t VALUES (2)', 'ALTER TABLE t ADD COLUMN v INT');
    const items = await source.readItems(from);
    const known = items.flatMap((item) => {
      if (item.type !== 'begin' || item.transaction.gtid === null) return [];
      const { gtid, serverUuid, file, offset, commitMicros } = item.transaction;
      return [{ gtid, serverUuid, lineage: 1, file, offset, commitMicros, digest: '' }];
    });
    const replica = connectionOptionsFromUrl((await testStack()).url('mysql-replica'));
    const session = await createConnection(replica);
    await session.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 10)', [known.map(({ gtid }) => gtid).join(',')]);
    await session.end();
    const log = await new MySqlEndpoint(replica).inspect(never);
    const found = await new LogProof(replica).prove(log, known, never);
    expect(found.map((one) => [one?.gtid, one?.serverUuid, one?.commitMicros])).toEqual(
      known.map(({ gtid, commitMicros }) => [gtid, log.serverUuid, commitMicros]),
    );
    expect(found).toHaveLength(3);
  } finally {
    await source.close();
  }
});

/** Of the set, what comes up to this transaction: the marks that the reading left come after it. */
function executedUntil(executed: string, gtid: string): string {
  if (!gtid.includes(':')) return gtid;
  const [uuid, number] = gtid.split(':');
  return executed
    .split(',')
    .map((item) => (item.startsWith(uuid ?? '') ? `${uuid}:1-${number}` : item))
    .join(',');
}

const mysqlGtids = [
  '22222222-2222-2222-2222-222222222222:40',
  '11111111-1111-1111-1111-111111111111:7',
  '33333333-3333-3333-3333-333333333333:blue:9',
].map((gtid) => [`SET gtid_next = '${gtid}'`]);
const mariaDbGtids = [
  ['SET gtid_domain_id = 9', 'SET gtid_seq_no = 40'],
  ['SET gtid_domain_id = 7', 'SET gtid_seq_no = 50'],
];

test('I7: the last transaction of a MySQL whose rows came by a dump is not looked for among those of the dump', async () => {
  const source = sources.mysql;
  const inspect = (): Promise<EndpointInspection> => new MySqlEndpoint(source.connection).inspect(never);
  await source.run('RESET BINARY LOGS AND GTIDS', `SET GLOBAL gtid_purged = '${OTHER_SERVER}:1-1000'`);
  const proof = new LogProof(source.connection);
  expect(await proof.findLast(await inspect(), never)).toBeNull();
  await source.run('CREATE TABLE behind_dump (id INT PRIMARY KEY)');
  const { serverUuid, ...log } = await inspect();
  expect(await proof.findLast({ serverUuid, ...log }, never)).toMatchObject({ gtid: `${serverUuid}:1`, serverUuid });
  await source.run('RESET BINARY LOGS AND GTIDS');
});

test('I7: an XA transaction that is undecided when its file is purged is named as what was not read, ahead of any proof', async () => {
  const source = sources.mysql;
  const xid = `'${source.database}','undecided'`;
  const inspect = (): Promise<EndpointInspection> => new MySqlEndpoint(source.connection).inspect(never);
  await source.run('RESET BINARY LOGS AND GTIDS', 'CREATE TABLE xa (id INT PRIMARY KEY)');
  const { gtidExecuted: before, serverUuid } = await inspect();
  await source.run(`XA START ${xid}`, 'INSERT INTO xa VALUES (1)', `XA END ${xid}`, `XA PREPARE ${xid}`);
  try {
    const prepared = GtidSet.parse((await inspect()).gtidExecuted).subtract(GtidSet.parse(before));
    const other = await source.connect();
    await other.query('INSERT INTO xa VALUES (2)');
    await other.end();
    const log = await inspect();
    const last = await new LogProof(source.connection).findLast(log, never);
    const gtidSet = GtidSet.parse(log.gtidExecuted).subtract(prepared).toString();
    await source.run('FLUSH BINARY LOGS');
    await source.run(`PURGE BINARY LOGS TO '${(await source.logEnd()).file}'`);
    const from = { gtidSet, ...(await source.logEnd()), serverUuid };
    const expected = {
      code: 'DITTO_SOURCE_PURGED',
      message: expect.stringContaining(prepared.toString()),
      remedy: expect.stringContaining('resync'),
    };
    const proof = [last && { ...last, lineage: 1 }, null] as const;
    const stream = source.source().stream({ from, proof, includes: () => true, signal: never });
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject(expected);
    const inspection = await inspect();
    expect(() => assertPosition(from, inspection)).toThrow(expect.objectContaining(expected));
  } finally {
    await source.run(`XA ROLLBACK ${xid}`);
  }
});
