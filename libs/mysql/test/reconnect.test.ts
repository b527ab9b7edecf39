import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type RowDataPacket } from 'mysql2/promise';
import { MySqlChangeSource, type MySqlConnectionOptions } from '#mysql';
import { changeAt, type Checkpoint, GtidSet, type RowChanges } from '#change-events';
import { silentLogger, Waits } from '#kernel';
import { type Acknowledgement, ChangeSink, Pipeline, type SinkStatus, TableRecords } from '#replication';
import { position, TestSource } from './test-source.ts';

const LONG_ROWS = 300;
/** All together more than the buffers of both ends of a connection hold. */
const ROW_BYTES = 100_000;
const IN_FLIGHT_BYTES = 1_000_000;

let source: TestSource;
let reader: MySqlConnectionOptions;

beforeAll(async () => {
  source = await TestSource.open('reconnect');
  await source.run('CREATE TABLE t (id INT PRIMARY KEY, n INT, v LONGTEXT)');
  reader = await source.createUser('REPLICATION SLAVE, REPLICATION CLIENT', 'SELECT');
});
afterAll(async () => {
  await source.close();
});

interface Delivered {
  readonly gtid: string | null;
  readonly rowIndex: number;
  readonly id: unknown;
  readonly n: unknown;
}

/** Notes what it is given; holds it unconfirmed from a number of changes on, until it is released. */
class HoldingSink extends ChangeSink {
  readonly name = 'kafka';
  readonly delivered: Delivered[] = [];
  readonly #held: (() => void)[] = [];
  readonly #holdAt: number;
  #isReleased = false;
  bytesInFlight = 0;

  constructor(holdAt: number) {
    super();
    this.#holdAt = holdAt;
  }

  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  release(): void {
    this.#isReleased = true;
    this.bytesInFlight = 0;
    for (const confirm of this.#held.splice(0)) confirm();
  }

  accept(changes: RowChanges, acknowledgement: Acknowledgement): void {
    for (let i = 0; i < changes.count; i++) {
      const { transaction, rowIndex, after } = changeAt(changes, i);
      this.delivered.push({ gtid: transaction.gtid, rowIndex, id: after?.[0], n: after?.[1] });
    }
    const confirm = (): void => {
      acknowledgement.acknowledge(changes.count);
    };
    if (this.#isReleased || this.delivered.length < this.#holdAt) {
      confirm();
      return;
    }
    this.bytesInFlight += 2 * IN_FLIGHT_BYTES;
    this.#held.push(confirm);
  }

  open(): Promise<void> {
    return Promise.resolve();
  }
  prepareTable(): Promise<void> {
    return Promise.resolve();
  }
  flush(): void {
    // nothing waits here
  }
  drain(): Promise<void> {
    return Promise.resolve();
  }
  applyTableChange(): Promise<void> {
    return Promise.resolve();
  }
  status(): SinkStatus {
    const { bytesInFlight } = this;
    const nothing = { changesInFlight: 0, confirmedChanges: 0, retries: 0, holdingBecause: null };
    return { bytesInFlight, ...nothing, counters: {} };
  }
  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function findDumps(): Promise<number[]> {
  const [rows] = await source.admin.query<RowDataPacket[]>(
    "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%' AND USER = ?",
    [reader.user],
  );
  return rows.map((row) => Number(row['id']));
}

test('I1, I2: a dump that is killed inside a long transaction continues after the last complete one', async () => {
  const start: Checkpoint = {
    source: 's',
    lineage: 1,
    position: {
      ...position(await source.executedSet()),
      serverUuid: (await source.value('SELECT @@server_uuid')) ?? '',
    },
    dispatchedSet: '',
    undecidedSet: '',
    version: '',
    commitMicros: 0,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: 0,
  };
  const sink = new HoldingSink(10 + LONG_ROWS / 3);
  const pipeline = new Pipeline({
    source: 's',
    start,
    readSequences: { reserved: 0, reserve: () => Promise.resolve() },
    changeSource: new MySqlChangeSource({ connection: reader, logger: silentLogger }),
    sinks: [sink],
    includes: source.includes,
    reaches: () => true,
    tables: [],
    inFlightBytes: IN_FLIGHT_BYTES,
    maxNotedBytes: 1_000_000,
    backoff: { initialMs: 20, maxMs: 50 },
    logger: silentLogger,
    waits: new Waits({ limitMs: 60_000, logger: silentLogger, nowMs: Date.now }),
    nowMs: () => Date.now(),
    onConfirmed: () => undefined,
    mayDeliver: () => true,
    onTableUnread: () => Promise.resolve(),
    records: new TableRecords({
      grant: { source: 's', owner: 'o', token: 1 },
      store: { save: () => Promise.resolve() },
      known: [],
    }),
    onKeyDoubted: () => undefined,
    listTables: () => Promise.resolve([]),
    canLookUpRows: false,
    cascades: null,
  });
  const stop = new AbortController();
  const running = pipeline.run(stop.signal, new AbortController().signal);

  for (let id = 0; id < 10; id++) await source.run(`INSERT INTO t VALUES (${id}, 0, '')`);
  await source.run('BEGIN');
  for (let n = 1; n <= LONG_ROWS; n++)
    await source.run(`UPDATE t SET n = ${n}, v = REPEAT('x', ${ROW_BYTES}) WHERE id = ${n % 10}`);
  await source.run('COMMIT', 'UPDATE t SET n = 1000 WHERE id = 3');

  await until('a sink that is full', () => sink.isHolding);
  const [dump, ...others] = await findDumps();
  expect(others).toEqual([]);
  await source.run(`KILL ${dump ?? 0}`);
  await until('the end of the dump', async () => (await findDumps()).length === 0);
  const before = sink.delivered.length;
  expect(before).toBeGreaterThan(10);
  expect(before).toBeLessThan(10 + LONG_ROWS);
  sink.release();
  await until('the last change', () => sink.delivered.at(-1)?.n === 1000);
  stop.abort();
  await running;

  expect(pipeline.status().reconnects).toBe(1);
  const { delivered } = sink;
  const long = delivered[10]?.gtid;
  const restarts = delivered.flatMap(({ gtid, rowIndex }, at) => (gtid === long && rowIndex === 0 ? [at] : []));
  expect(restarts).toHaveLength(2);
  const [first = 0, again = 0] = restarts;
  // what was given of the long transaction before the end of the connection came again, from its first row
  const interrupted = delivered.slice(first, again);
  expect(interrupted.length).toBeGreaterThanOrEqual(before - 10);
  expect(interrupted.length).toBeLessThan(LONG_ROWS);
  expect(delivered.slice(again, again + interrupted.length)).toEqual(interrupted);
  const once = [...delivered.slice(0, first), ...delivered.slice(again)];
  expect(once.map(({ id, n }) => [id, n])).toEqual([
    ...Array.from({ length: 10 }, (_, id) => [id, 0]),
    ...Array.from({ length: LONG_ROWS }, (_, i) => [(i + 1) % 10, i + 1]),
    [3, 1000],
  ]);
  const covered = GtidSet.parse(pipeline.checkpoint().position.gtidSet);
  for (const { gtid } of delivered) expect(covered.containsGtid(gtid ?? '')).toBe(true);
}, 30_000);
