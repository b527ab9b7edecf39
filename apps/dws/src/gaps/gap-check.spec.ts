import { describe, expect, it } from '@jest/globals';
import {
  describeKey,
  type StoredCheckpoint,
  tableKey,
  type TableLayout,
  transactionEndVersion,
  ValueImages,
  versionPrefix,
} from '#change-events';
import { type WantedMessage } from '#kafka';
import { DittoError, toDittoError } from '#kernel';
import { type SourceBatch, type SourceItem, type TableRecord } from '#replication';
import { type MismatchRecord, type NewMismatch } from '#verification';
import { GapCheck, type GapPlace } from './gap-check.ts';

const column = (name: string) => ({
  ...({ name, kind: 'integer', type: 'int', unsigned: false, precision: 0, scale: 0 } as const),
  ...{ length: 0, charset: null, labels: [] },
});
const layout: TableLayout = {
  ...{ database: 'd', table: 't', columns: [column('id'), column('v')], key: [0], fingerprint: 'now' },
};
const signal = new AbortController().signal;
const FILE = 'binlog.000007';

function checkpointAt(offset: number, { lineage = 1, token = 5, serverUuid = 'u' } = {}): StoredCheckpoint {
  const version = transactionEndVersion(versionPrefix(lineage, FILE, offset));
  const position = { gtidSet: `u:1-${offset}`, file: FILE, offset, serverUuid };
  return { token, checkpoint: { lineage, version, position, lastCovered: null } } as unknown as StoredCheckpoint;
}

const recordOf = (generation: number, state = 'done'): TableRecord =>
  ({
    ...{ database: 'd', table: 't', estimatedRows: 0, generation, copy: { state, rowsRead: 0 } },
    adopted: { key: describeKey(layout), since: '', layout },
  }) as TableRecord;

function transactionAt(offset: number, before: number[][] | null, after: number[][] | null): SourceItem[] {
  const images = (rows: number[][] | null) => rows && new ValueImages(layout, rows);
  const op = before === null ? 'create' : after === null ? 'delete' : 'update';
  const transaction = {
    ...{ gtid: `u:${offset}`, preparedGtid: null, serverId: 1, serverUuid: 'u' },
    ...{ file: FILE, offset, commitMicros: 5_000_000 },
  };
  return [
    { type: 'begin', transaction },
    { type: 'rows', op, layout, before: images(before), after: images(after), firstRowIndex: 0 },
    { type: 'end', file: FILE, endOffset: offset + 50 },
  ];
}

/** A check whose log, records and topics a test sets. */
class Bench {
  place: GapPlace | null = null;
  checkpoints: StoredCheckpoint[] = [checkpointAt(500)];
  records: TableRecord[] = [recordOf(3)];
  partitions = [2];
  /** As DSS has recorded them, of the topic of the table. */
  recordedPartitions = [2];
  /** The same of more topics, where there are any. */
  partitionsOf: ReadonlyMap<string, number> | null = null;
  log: SourceItem[] = [
    ...transactionAt(200, null, [
      [1, 5],
      [2, 5],
    ]),
    ...transactionAt(300, [[1, 5]], [[3, 5]]),
    ...transactionAt(500, [[2, 5]], null),
    ...transactionAt(600, null, [[9, 9]]),
  ];
  failure: Error | null = null;
  lost: readonly string[] = [];
  /** By topic, what reading it fails with. */
  readonly unreadable = new Map<string, Error>();
  isKafkaAway = false;
  /** How many gaps of the table are known. */
  known = 0;
  /** Keys, as `encodeKeyValues` writes them. */
  refused: readonly string[] = [];
  readonly asked: WantedMessage[] = [];
  readonly recorded: NewMismatch[] = [];
  readonly outcomes: Record<string, number> = {};
  readonly cuts: string[] = [];
  readonly complaints: string[] = [];
  readonly check: GapCheck;

  constructor() {
    this.place = {
      version: checkpointAt(100).checkpoint.version,
      position: checkpointAt(100).checkpoint.position,
      lastCovered: null,
      tables: { [tableKey(layout)]: [3, 2] },
    };
    // what is read last stays
    const next = <T>(values: T[]): T => (values.length > 1 ? values.shift() : values[0]) as T;
    this.check = new GapCheck({
      ...{ source: 's', bigint: 'number', includes: () => true },
      log: { stream: () => this.#stream() },
      readCheckpoint: () => Promise.resolve(next(this.checkpoints)),
      tables: {
        load: () => Promise.resolve([next(this.records)]),
        find: () => Promise.resolve(next(this.records)),
      },
      countPartitions: (topics) =>
        this.isKafkaAway
          ? Promise.reject(new DittoError('DITTO_KAFKA_UNAVAILABLE', 'it is away', { retriable: true }))
          : Promise.resolve(new Map(topics.map((topic) => [topic, next(this.partitions)]))),
      recordedPartitions: () =>
        Promise.resolve(this.partitionsOf ?? new Map([['s.d.t', next(this.recordedPartitions)]])),
      search: {
        find: (topic, wanted) => {
          const error = this.unreadable.get(topic);
          if (error !== undefined) return Promise.reject(error);
          this.asked.push(...wanted);
          const missing = wanted.filter(({ id }) => this.lost.includes(id));
          return Promise.resolve({ found: wanted.length - missing.length, missing, unknown: new Map() });
        },
      },
      places: {
        load: () => Promise.resolve(this.place && JSON.stringify(this.place)),
        save: (_source, place) => {
          this.place = JSON.parse(place) as GapPlace;
          return Promise.resolve();
        },
      },
      failedEvents: {
        findLacking: (_source, _sink, _table, changes) =>
          Promise.resolve(changes.map(({ key }) => this.refused.includes(key))),
      },
      mismatches: {
        record: (found) => {
          this.recorded.push(...found);
          return Promise.resolve(found);
        },
        list: (_filter, { limit }) => Promise.resolve(Array(Math.min(limit, this.known)).fill({}) as MismatchRecord[]),
      },
      bounds: { bytes: 1_000_000, messages: 1000, logMs: 1000, topicsMs: 1000 },
      onFound: () => undefined,
      onJudged: (outcome, messages) => (this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + messages),
      onUnreadable: (topic, error) => this.complaints.push(`${topic}: ${toDittoError(error).code}`),
      onCut: (reason) => this.cuts.push(reason),
    });
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as the source gives them
  async *#stream(): AsyncGenerator<SourceBatch, void> {
    if (this.failure !== null) throw this.failure;
    for (const item of this.log) yield { items: [item], bytes: 10 };
  }
}

describe('GapCheck', () => {
  it('wants a message of each change up to the checkpoint, two where the key changed, and goes on from there', async () => {
    const bench = new Bench();
    expect(await bench.check.turn(signal)).toEqual({ found: 5, missing: 0, unknown: 0 });
    expect(bench.asked.map(({ id }) => id)).toEqual(['u:200/0', 'u:200/1', 'u:300/0/d', 'u:300/0/c', 'u:500/0']);
    expect(bench.place).toMatchObject({ version: checkpointAt(500).checkpoint.version });
    expect(await bench.check.turn(signal)).toEqual({ found: 0, missing: 0, unknown: 0 });
    expect(bench.asked).toHaveLength(5);
  });

  it('records what is missing twice, with its place and key', async () => {
    const bench = new Bench();
    bench.lost = ['u:300/0/c'];
    expect(await bench.check.turn(signal)).toEqual({ found: 4, missing: 1, unknown: 0 });
    expect(bench.asked.filter(({ id }) => id === 'u:300/0/c')).toHaveLength(2);
    expect(bench.recorded).toMatchObject([
      {
        ...{ source: 's', table: 't', sink: 'kafka', key: 'u:300/0/c', isKey: false, kind: 'gap', runId: null },
        details: { change: { gtid: 'u:300', file: FILE, offset: 300, row: 0, op: 'create', key: '{"id":3}' } },
      },
    ]);
  });

  it('what the quarantine holds back is not missing', async () => {
    const bench = new Bench();
    bench.lost = ['u:300/0/c', 'u:500/0'];
    bench.refused = ['[3]'];
    expect(await bench.check.turn(signal)).toEqual({ found: 3, missing: 1, unknown: 1 });
    expect(bench.outcomes).toMatchObject({ 'in the quarantine': 1, missing: 1 });
    expect(bench.recorded).toMatchObject([{ key: 'u:500/0' }]);
  });

  const reached = checkpointAt(500);
  it.each<[what: string, change: Partial<Bench>, outcome: string]>([
    [
      'of a table that was not known before',
      { place: { ...(new Bench().place as GapPlace), tables: {} } },
      'not copied',
    ],
    ['of a topic that was not there', { place: placeWith(0) }, 'no topic'],
    ['of a table that was copied since', { records: [recordOf(3), recordOf(4)] }, 'copied or changed meanwhile'],
    [
      'of a table that is copied now',
      { records: [recordOf(3), recordOf(3, 'copying')] },
      'copied or changed meanwhile',
    ],
    [
      'of a table that was copied while its topic was read',
      { records: [recordOf(3), recordOf(3), recordOf(4)] },
      'copied or changed meanwhile',
    ],
    ['of a topic to which partitions were added that DSS does not use', { partitions: [3] }, 'other partitions'],
    [
      'of a topic whose partitions were accepted meanwhile',
      { partitions: [3], recordedPartitions: [2, 3] },
      'other partitions',
    ],
    [
      'while a former checkpoint counts again',
      { checkpoints: [reached, reached, checkpointAt(400, { token: 6 })] },
      'repeated meanwhile',
    ],
    [
      'while another owner repeats what follows the checkpoint',
      { checkpoints: [reached, reached, checkpointAt(500, { token: 6 })] },
      'repeated meanwhile',
    ],
  ])('I8: nothing is said %s', async (_what, change, outcome) => {
    const bench = Object.assign(new Bench(), change);
    bench.lost = ['u:200/1'];
    expect((await bench.check.turn(signal)).missing).toBe(0);
    expect(bench.recorded).toEqual([]);
    expect(bench.outcomes[outcome]).toBeGreaterThan(0);
  });

  it.each<[what: string, checkpoint: StoredCheckpoint]>([
    ['of another lineage', checkpointAt(500, { lineage: 2 })],
    ['of another server', checkpointAt(500, { serverUuid: 'v' })],
    ['before the place', checkpointAt(50)],
  ])('I8: begins anew at a checkpoint %s', async (_what, checkpoint) => {
    const bench = Object.assign(new Bench(), { checkpoints: [checkpoint] });
    expect(await bench.check.turn(signal)).toEqual({ found: 0, missing: 0, unknown: 0 });
    expect([bench.asked, bench.cuts]).toEqual([[], ['another log']]);
    expect(bench.place?.version).toBe(checkpoint.checkpoint.version);
  });

  it('I8: nothing is said of the log of another server that answers at the same address', async () => {
    const bench = new Bench();
    bench.place = {
      ...(bench.place as GapPlace),
      position: { ...checkpointAt(100).checkpoint.position, serverUuid: 'v' },
    };
    bench.checkpoints = [checkpointAt(500, { serverUuid: 'v' })];
    expect(await bench.check.turn(signal)).toEqual({ found: 0, missing: 0, unknown: 0 });
    expect([bench.asked, bench.cuts]).toEqual([[], ['another log']]);
  });

  it('counts that it has no place to go on from: what was logged before is not looked at', async () => {
    const bench = new Bench();
    bench.place = null;
    await bench.check.turn(signal);
    expect([bench.asked, bench.cuts]).toEqual([[], ['no place']]);
    expect(bench.place).toMatchObject({ version: checkpointAt(500).checkpoint.version });
  });

  it.each([0, 950, 1000])('records no more than 1,000 gaps of a table: %d are known', async (known) => {
    const bench = Object.assign(new Bench(), { known });
    const rows = Array.from({ length: 120 }, (_, i) => [i, 0]);
    bench.log = [...transactionAt(200, null, rows), ...transactionAt(500, null, [[1000, 0]])];
    bench.lost = rows.map((_, i) => `u:200/${i}`);
    expect((await bench.check.turn(signal)).missing).toBe(120);
    expect(bench.recorded).toHaveLength(Math.min(100, 1000 - known));
  });

  it.each([true, false])('looks at the other tables while a topic can not be read, retriable %p', async (retriable) => {
    const bench = new Bench();
    const other = { ...layout, table: 'other' };
    bench.place = { ...placeWith(2), tables: { [tableKey(layout)]: [3, 2], [tableKey(other)]: [3, 2] } };
    bench.partitionsOf = new Map([
      ['s.d.t', 2],
      ['s.d.other', 2],
    ]);
    const images = new ValueImages(other, [[7, 7]]);
    const rows = { type: 'rows', op: 'create', layout: other, before: null, after: images, firstRowIndex: 2 } as const;
    bench.log.splice(2, 0, rows);
    bench.unreadable.set('s.d.t', new DittoError('DITTO_KAFKA_REFUSED', 'no', { retriable }));
    expect(await bench.check.turn(signal)).toEqual({ found: 1, missing: 0, unknown: 5 });
    expect(bench.outcomes).toEqual({ unreadable: 5, found: 1 });
    expect(bench.complaints).toEqual(['s.d.t: DITTO_KAFKA_REFUSED']);
    expect(bench.place).toMatchObject({ version: checkpointAt(500).checkpoint.version });
  });

  it('is tried again while Kafka does not answer', async () => {
    const bench = Object.assign(new Bench(), { isKafkaAway: true });
    await expect(bench.check.turn(signal)).rejects.toMatchObject({ code: 'DITTO_KAFKA_UNAVAILABLE' });
    expect(bench.place).toMatchObject({ version: checkpointAt(100).checkpoint.version });
  });

  it('leaves out what the log does not have any more, and is tried again where it can not be asked', async () => {
    const purged = Object.assign(new Bench(), { failure: new DittoError('DITTO_SOURCE_PURGED', 'it is gone') });
    await purged.check.turn(signal);
    expect(purged.cuts).toEqual(['DITTO_SOURCE_PURGED: it is gone']);
    expect(purged.place?.version).toBe(checkpointAt(500).checkpoint.version);
    const away = new DittoError('DITTO_SOURCE_DOWN', 'it is away', { retriable: true });
    const held = Object.assign(new Bench(), { failure: away });
    await expect(held.check.turn(signal)).rejects.toBe(away);
    expect(held.place?.version).toBe(checkpointAt(100).checkpoint.version);
  });
});

function placeWith(partitions: number): GapPlace {
  return { ...(new Bench().place as GapPlace), tables: { [tableKey(layout)]: [3, partitions] } };
}
