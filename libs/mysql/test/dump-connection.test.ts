import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { type RowDataPacket } from 'mysql2/promise';
import { MySqlChangeSource, toSourceError, type MySqlConnectionOptions } from '#mysql';
import { silentLogger } from '#kernel';
import { type SourceBatch } from '#replication';
import { type DumpStart } from '../src/binlog/dump-commands.ts';
import { DumpConnection } from '../src/binlog/dump-connection.ts';
import { EventType, HEADER_BYTES } from '../src/binlog/event-header.ts';
import { makeReplicaIdentity, type ReplicaIdentity } from '../src/binlog/replica-identity.ts';
import { position, TestSource } from './test-source.ts';

const HEARTBEAT_MS = 500;
const NO_TLS_CHECKS = { rejectUnauthorized: false };

let source: TestSource;
let reader: MySqlConnectionOptions;
const open: Dump[] = [];

beforeAll(async () => {
  source = await TestSource.open('dump');
  await source.run('CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)');
  reader = await source.createUser('REPLICATION SLAVE, REPLICATION CLIENT', 'SELECT');
});
afterEach(() => {
  for (const dump of open.splice(0)) dump.connection.stop();
});
afterAll(async () => {
  await source.close();
});

interface Received {
  readonly type: number;
  readonly offset: number;
  readonly bytes: Buffer;
}

/** A dump and what it delivered. */
class Dump {
  readonly events: Received[] = [];
  readonly replica: ReplicaIdentity;
  readonly connection: DumpConnection;
  error: unknown = null;
  onEvent: () => void = () => undefined;

  constructor(
    start: DumpStart,
    options: {
      readonly connection?: MySqlConnectionOptions;
      readonly replicaId?: number;
      readonly serverUuid?: string;
    },
  ) {
    this.replica = makeReplicaIdentity(options.replicaId);
    this.connection = new DumpConnection({
      connection: options.connection ?? reader,
      start,
      replica: this.replica,
      heartbeatMs: HEARTBEAT_MS,
      ...(options.serverUuid === undefined ? {} : { serverUuid: options.serverUuid }),
      listener: {
        onStart: () => undefined,
        onEvent: (bytes, from, to) => {
          const event = bytes.subarray(from, to);
          this.events.push({ type: event.readUInt8(4), offset: event.readUInt32LE(13), bytes: event });
          this.onEvent();
        },
        onError: (error) => {
          this.error = toSourceError(error, 'reading');
        },
      },
    });
    this.connection.start();
    open.push(this);
  }

  has(type: number): boolean {
    return this.events.some((event) => event.type === type);
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>, withinMs = 4000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function startDump(options: ConstructorParameters<typeof Dump>[1] = {}): Promise<Dump> {
  const dump = new Dump({ gtidSet: await source.executedSet() }, options);
  await until('the first format description', () => {
    if (dump.error !== null) throw dump.error as Error;
    return dump.has(EventType.formatDescription);
  });
  return dump;
}

async function countDumps(user: string): Promise<number> {
  const [rows] = await source.admin.query<RowDataPacket[]>(
    "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%' AND USER = ?",
    [user],
  );
  return rows.length;
}

/** What the server's thread of the one dump of `user` is at; it waits in this state when nobody takes what it sends. */
async function stateOf(user: string): Promise<string | null> {
  return source.value('SELECT STATE FROM information_schema.PROCESSLIST WHERE USER = ?', [user]);
}

async function listReplicas(): Promise<RowDataPacket[]> {
  return (await source.admin.query<RowDataPacket[]>('SHOW REPLICAS'))[0];
}

describe('registration', () => {
  test('SHOW REPLICAS lists the reader with its server id, its host and its UUID', async () => {
    const { replica } = await startDump({ replicaId: 3_000_000_001 });
    const listed = (await listReplicas()).find((row) => row['Server_Id'] === replica.serverId);
    expect(listed).toMatchObject({ Replica_UUID: replica.uuid, Host: expect.stringMatching(/./) });
  });

  test('of two readers with one server id the server ends the older, with a code', async () => {
    const first = await startDump({ replicaId: 3_000_000_002 });
    const second = await startDump({ replicaId: 3_000_000_002 });
    await until('the end of the first', () => first.error !== null);
    expect(first.error).toMatchObject({
      code: 'DITTO_SOURCE_REPLICA_ID_TAKEN',
      retriable: false,
      remedy: expect.stringMatching('SHOW REPLICAS'),
    });
    await source.run("INSERT INTO t (v) VALUES ('for the second')");
    await until('a row', () => second.has(EventType.writeRows));
    expect(second.error).toBeNull();
  });

  test('a source that is read again by the same reader is rid of its former dump', async () => {
    const changes = new MySqlChangeSource({ connection: reader, logger: silentLogger, replicaId: 3_000_000_003 });
    const read = async (): Promise<void> => {
      const from = position(await source.executedSet());
      await source.run("INSERT INTO t (v) VALUES ('again')");
      const { signal } = new AbortController();
      for await (const batch of changes.stream({ from, includes: source.includes, signal })) {
        if (batch.items.some((item) => item.type === 'end')) return;
      }
    };
    for (let time = 0; time < 5; time++) await read();
    // heartbeats come every five seconds here: only the newcomer can have ended the others
    await until('one dump at most', async () => (await countDumps(reader.user)) <= 1, 1000);
  });

  test('a user without the privilege gets that as the reason', async () => {
    const connection = await source.createUser('', 'SELECT');
    const dump = new Dump({ gtidSet: '' }, { connection });
    await until('an error', () => dump.error !== null);
    expect(dump.error).toMatchObject({ code: 'DITTO_SOURCE_ACCESS_DENIED', retriable: false });
  });
});

describe('start', () => {
  async function place(): Promise<{ file: string; offset: number }> {
    const [[row]] = await source.admin.query<RowDataPacket[]>('SHOW BINARY LOG STATUS');
    return { file: String(row?.['File']), offset: Number(row?.['Position']) };
  }

  test('at an offset of a file delivers what is there', async () => {
    const start = await place();
    await source.run("INSERT INTO t (v) VALUES ('by offset')");
    const dump = new Dump(start, {});
    await until('a row', () => dump.has(EventType.writeRows));
    const [rotate, format, gtid] = dump.events.map(({ bytes }) => bytes);
    expect(rotate?.readUInt8(4)).toBe(EventType.rotate);
    expect(Number(rotate?.readBigUInt64LE(HEADER_BYTES))).toBe(start.offset);
    expect(rotate?.toString('utf8', HEADER_BYTES + 8, rotate.length - 4)).toBe(start.file);
    expect(format?.readUInt8(4)).toBe(EventType.formatDescription);
    expect([EventType.gtid, EventType.gtidTagged]).toContain(gtid?.readUInt8(4));
    expect((gtid?.readUInt32LE(13) ?? 0) - (gtid?.length ?? 0)).toBe(start.offset);
  });

  test('at an offset beyond 32 bits is not cut to what 32 bits hold', async () => {
    const { file, offset } = await place();
    const dump = new Dump({ file, offset: 2 ** 32 + offset }, {});
    await until('an error', () => dump.error !== null);
    expect(dump.error).toMatchObject({
      code: 'DITTO_SOURCE_PLACE_INVALID',
      message: expect.stringMatching(/position > file size/),
    });
  });

  test('on another server than was expected goes no further', async () => {
    const serverUuid = '11111111-2222-3333-4444-555555555555';
    const dump = new Dump(await place(), { serverUuid });
    await until('an error', () => dump.error !== null);
    const own = await source.value('SELECT @@server_uuid');
    expect(dump.error).toMatchObject({
      code: 'DITTO_SOURCE_OTHER_SERVER',
      retriable: true,
      context: { expected: serverUuid, serverUuid: own },
    });
    expect(dump.events).toEqual([]);
  });

  test('in a file that is gone is a code', async () => {
    const dump = new Dump({ file: 'binlog.999999', offset: 4 }, {});
    await until('an error', () => dump.error !== null);
    expect(dump.error).toMatchObject({ code: 'DITTO_SOURCE_PURGED', retriable: false });
  });
});

describe.each([
  ['plain', false],
  ['TLS', NO_TLS_CHECKS],
] as const)('over %s', (_, tls) => {
  test('the server has no thread of a stopped dump left after a heartbeat', async () => {
    const connection = { ...(await source.createUser('REPLICATION SLAVE', 'SELECT')), tls };
    const dump = await startDump({ connection });
    await until('a heartbeat', () => dump.has(EventType.heartbeatV2));
    expect(await countDumps(connection.user)).toBe(1);
    const before = Date.now();
    dump.connection.stop();
    await until('the end of the thread', async () => (await countDumps(connection.user)) === 0);
    // a connection that is closed and not reset takes the server two heartbeats
    expect(Date.now() - before).toBeLessThan(1.7 * HEARTBEAT_MS);
    expect(dump.error).toBeNull();
  });

  test('I9: a paused dump takes no more from the server, and all of it later', async () => {
    const connection = { ...(await source.createUser('REPLICATION SLAVE', 'SELECT')), tls };
    const rows = 60;
    const dump = await startDump({ connection });
    let pausing = true;
    let pauses = 0;
    dump.onEvent = () => {
      if (!pausing) return;
      pauses++;
      dump.connection.pause();
    };
    await until('a pause', () => pauses === 1);
    const count = dump.events.length;
    // more than the buffers of both sides of a connection hold
    for (let row = 0; row < rows; row++) await source.run("INSERT INTO t (v) VALUES (REPEAT('x', 1000000))");
    expect(dump.events).toHaveLength(count);
    // it stays so: nothing is read in this time
    await new Promise((resolve) => setTimeout(resolve, HEARTBEAT_MS));
    expect(await stateOf(connection.user)).toMatch(/^Sending/);
    // one event for each time that it continues
    for (let time = 1; time <= 3; time++) {
      dump.connection.resume();
      await until('one event', () => dump.events.length >= count + time);
      expect(dump.events).toHaveLength(count + time);
    }
    pausing = false;
    dump.connection.resume();
    await until('all rows', () => dump.events.filter(({ type }) => type === EventType.writeRows).length >= rows);
    expect(dump.error).toBeNull();
  }, 30_000);
});

describe('a source', () => {
  /** The batches of a stream from now on, with the user that reads them. */
  async function openStream(maxQueuedBytes: number): Promise<{
    readonly user: string;
    readonly batches: AsyncIterator<SourceBatch>;
    readonly abort: AbortController;
  }> {
    const connection = await source.createUser('REPLICATION SLAVE, REPLICATION CLIENT', 'SELECT');
    const changes = new MySqlChangeSource({
      connection,
      logger: silentLogger,
      heartbeatMs: HEARTBEAT_MS,
      maxQueuedBytes,
    });
    const abort = new AbortController();
    const from = position(await source.executedSet());
    const stream = changes.stream({ from, includes: source.includes, signal: abort.signal });
    return { user: connection.user, batches: stream[Symbol.asyncIterator](), abort };
  }

  /** Rows of the next batch. */
  async function countNext(batches: AsyncIterator<SourceBatch>): Promise<number> {
    const next = await batches.next();
    if (next.done === true) throw new Error('the stream ended');
    return next.value.items.reduce((count, item) => count + (item.type === 'rows' ? (item.after?.count ?? 0) : 0), 0);
  }

  test('I9: whose consumer takes nothing takes nothing from the server', async () => {
    const rows = 60;
    const { user, batches, abort } = await openStream(100_000);
    const first = countNext(batches);
    await source.run("INSERT INTO t (v) VALUES ('first')");
    let seen = await first;
    for (let row = 0; row < rows; row++) await source.run("INSERT INTO t (v) VALUES (REPEAT('x', 1000000))");
    await until('a server that can send no more', async () => (await stateOf(user))?.startsWith('Sending') === true);
    // it stays so: nothing is read without the consumer
    await new Promise((resolve) => setTimeout(resolve, HEARTBEAT_MS));
    expect(await stateOf(user)).toMatch(/^Sending/);
    while (seen <= rows) seen += await countNext(batches);
    expect(seen).toBe(rows + 1);
    abort.abort();
    expect(await batches.next()).toMatchObject({ done: true });
  }, 30_000);

  test('that has to stop leaves the server at once, whenever its consumer comes to know', async () => {
    const { user, batches } = await openStream(100_000);
    const first = batches.next();
    await source.run("INSERT INTO t (v) VALUES ('first')");
    await first;
    await until('a heartbeat', async () => (await countDumps(user)) === 1);
    await source.run('SET SESSION binlog_format = STATEMENT', "INSERT INTO t (v) VALUES ('no row event')");
    await source.run('SET SESSION binlog_format = ROW');
    await until('the end of the dump', async () => (await countDumps(user)) === 0);
    const rest = async (): Promise<void> => {
      while ((await batches.next()).done !== true);
    };
    await expect(rest()).rejects.toMatchObject({ code: 'DITTO_SOURCE_STATEMENT_EVENT' });
  });
});

describe('TLS', () => {
  test('carries the dump of a user who may not come without it, authenticated again', async () => {
    const user = await source.createUser('REPLICATION SLAVE', 'SELECT');
    // no session has authenticated since the change: the password itself has to be sent (caching_sha2_password)
    await source.run(`ALTER USER ${user.user} IDENTIFIED WITH caching_sha2_password BY 'other' REQUIRE SSL`);
    const plain = new Dump({ gtidSet: '' }, { connection: { ...user, password: 'other' } });
    await until('an error', () => plain.error !== null);
    expect(plain.error).toMatchObject({ code: 'DITTO_SOURCE_ACCESS_DENIED' });
    const dump = await startDump({ connection: { ...user, password: 'other', tls: NO_TLS_CHECKS } });
    await source.run("INSERT INTO t (v) VALUES ('by TLS')");
    await until('a row', () => dump.has(EventType.writeRows));
  });

  test('refuses a certificate that nobody vouches for', async () => {
    const dump = new Dump({ gtidSet: '' }, { connection: { ...reader, tls: {} } });
    await until('an error', () => dump.error !== null);
    expect(dump.error).toMatchObject({ code: 'DITTO_SOURCE_TLS_FAILED', retriable: false });
  });
});
