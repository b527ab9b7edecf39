import { describe, expect, it } from '@jest/globals';
import { type Row, type TableLayout } from '#change-events';
import { DittoError } from '#kernel';
import { type ChunkRead, type KeysRead, RowReader } from '#replication';
import fc from 'fast-check';
import {
  Choices,
  layout,
  type LeftOut,
  Model,
  ModelReader,
  ModelSink,
  ModelStream,
  TRACES_STEPS,
} from '../test/verification-model.ts';
import { type NamedChange, NamedChanges } from './ports/named-changes.ts';
import { notVerifiable } from './ports/not-verifiable.ts';
import { type RecordedCheckpoint, RecordedStream, type RecordedTable } from './ports/recorded-stream.ts';
import {
  type Difference,
  type KeyRange,
  type ListedPage,
  type StoredRow,
  VerifiedSink,
} from './ports/verified-sink.ts';
import { type ChunkRequest, RowVerifier, type RowVerifierOptions, type Verdict } from './row-verifier.ts';

const IS_LONG = process.env['DITTO_TEST_LONG'] === '1';
const RUNS = IS_LONG ? 50_000 : 1_500;
const signal = new AbortController().signal;
const choices = fc.array(fc.nat(1_000_000), { minLength: 100, maxLength: 1_500 });

const settings = { maxBytes: 1_000, attempts: 4, backoff: { initialMs: 1, maxMs: 1 }, waitMs: 100, pollMs: 1 };

interface World {
  readonly model: Model;
  readonly verifier: RowVerifier;
  readonly sink: ModelSink;
}

function makeWorld(numbers: readonly number[], leftOut: LeftOut | null = null): World {
  const source = new Choices(numbers);
  const model = new Model(source, leftOut);
  const server = source.below(2) === 0 ? model.primary : model.replica;
  const sink = new ModelSink(model, source.below(2) === 0);
  const verifier = new RowVerifier({
    ...settings,
    reader: new ModelReader(model, server),
    sink,
    stream: new ModelStream(model),
    tracesMs: TRACES_STEPS,
    nowMs: () => model.steps,
    pause: () => {
      model.steps++;
      model.live();
      if (source.areUsedUp) model.settle();
      return Promise.resolve();
    },
  });
  return { model, verifier, sink };
}

/** Keys that one pass over table and sink calls mismatches; null when a part of it was not judged. */
async function findMismatches({ verifier, sink }: World): Promise<Set<number> | null> {
  const found = new Set<number>();
  const listed: (KeyRange | 'no range')[] = [sink.seesExtras() ? 'no range' : { after: null, upTo: null }];
  const take = ({ mismatches }: Verdict): void => {
    for (const { key } of mismatches) found.add(key[0] as number);
  };
  for (let after: Row | null = null; ;) {
    const chunk = await verifier.verifyChunk({ table: layout, after, limit: 2 }, signal);
    if (chunk.verdict.state !== 'judged') return found.size > 0 ? found : null;
    take(chunk.verdict);
    if (chunk.extrasIn !== null) listed.push(chunk.extrasIn);
    if (chunk.complete) break;
    after = chunk.lastKey;
  }
  for (const part of listed)
    for await (const { keys } of sink.list({ part })) {
      const verdict = await verifier.verifyKeys(layout, layout, keys, signal);
      if (verdict.state !== 'judged') return found.size > 0 ? found : null;
      take(verdict);
    }
  return found;
}

async function findFalseAlarms(numbers: readonly number[], leftOut: LeftOut | null): Promise<number[]> {
  const world = makeWorld(numbers, leftOut);
  const alarms: number[] = [];
  for (let pass = 0; pass < 4; pass++) alarms.push(...((await findMismatches(world)) ?? []));
  return alarms;
}

describe('RowVerifier, against a model in which source, stream and sink move between any two steps', () => {
  it('I6: calls nothing a mismatch while nobody but Ditto touches the sink', async () => {
    await fc.assert(
      fc.asyncProperty(choices, async (numbers) => {
        expect(await findFalseAlarms(numbers, null)).toEqual([]);
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  });

  it('I6: calls only damaged rows mismatches, and finds each of them once all is at rest', async () => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(choices, async (numbers) => {
        const world = makeWorld(numbers);
        const { model } = world;
        model.isSabotageAllowed = true;
        const alarms = (await findMismatches(world)) ?? [];
        expect([...alarms].filter((key) => !model.sabotaged.has(key))).toEqual([]);
        model.settle();
        model.isStill = true;
        const wrong = model.wrongKeys();
        found += wrong.length;
        expect([...((await findMismatches(world)) ?? [])].sort()).toEqual(wrong);
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
    expect(found).toBeGreaterThan(RUNS / 10);
  });

  it.each<LeftOut>(['wait', 'only if', 'owned', 'generation', 'lineage'])(
    'gives a false alarm when a step of the rule is left out: %s',
    async (leftOut) => {
      const outcome = await fc.check(
        fc.asyncProperty(choices, async (numbers) => (await findFalseAlarms(numbers, leftOut)).length === 0),
        { numRuns: 5_000, endOnFailure: true },
      );
      expect(outcome.failed).toBe(true);
    },
  );
});

const VERSION = '0000000100000001000000000010ffffffffffffffff';
const LATER = '00000001000000010000000000110000000000000000';
const HIGHEST = '0000000100000001000000000020ffffffffffffffff';

function stored(given: Partial<StoredRow> = {}): StoredRow {
  return { version: VERSION, gtid: null, isDeleted: false, damage: null, fingerprint: '', compare: () => [], ...given };
}

/** What a source, a stream and a sink answer, all at rest; one is changed in each test. */
class Answers {
  rows: readonly Row[] = [[1, 10]];
  checkpoint: RecordedCheckpoint = { gtidSet: '', version: VERSION, undecidedSet: '' };
  table: RecordedTable | null = { generation: 1, copied: 'yes', layout };
  high = '';
  /** What is stored for key 1, in the order of the reads; the last one stays. */
  stored: (StoredRow | null)[] = [stored()];
  quarantined: readonly Row[] = [];
  change: Row | null | undefined = undefined;
  readonly named: NamedChange[] = [];
  /** Wider reads than this give nothing but for one row. */
  mostRows = 100;
  readError: Error | null = null;
  sinkError: Error | null = null;
  reads = 0;

  verifier(given: Partial<RowVerifierOptions> = {}): RowVerifier {
    let nowMs = 0;
    return new RowVerifier({
      ...settings,
      reader: new GivenReader(this),
      sink: new GivenSink(this),
      stream: new GivenStream(this),
      changes: new GivenChanges(this),
      nowMs: () => nowMs,
      pause: (ms) => {
        nowMs += ms;
        return Promise.resolve();
      },
      ...given,
    });
  }

  async verify(): Promise<unknown> {
    const { verdict } = await this.verifier().verifyChunk({ table: layout, after: null, limit: 10 }, signal);
    return verdict;
  }
}

class GivenReader extends RowReader {
  readonly mostRowBytes = 1_000_000;
  readonly #answers: Answers;

  constructor(answers: Answers) {
    super();
    this.#answers = answers;
  }

  override listTables(): Promise<readonly TableLayout[]> {
    return Promise.resolve([]);
  }

  override readKeyOrder(): Promise<string> {
    return Promise.resolve('');
  }

  override readLayout(): Promise<TableLayout> {
    return Promise.resolve(layout);
  }

  override isGone(): Promise<boolean> {
    return Promise.resolve(false);
  }

  override estimateRows(): Promise<readonly number[]> {
    return Promise.resolve([]);
  }

  override readChunk({ limit, maxBytes }: { limit: number; maxBytes?: number }): Promise<ChunkRead> {
    const { rows, high, readError, mostRows } = this.#answers;
    if (readError !== null) return Promise.reject(readError);
    const fitting = maxBytes === undefined ? rows.slice(0, limit) : rows.slice(0, Math.min(limit, mostRows));
    const complete = fitting.length === rows.length;
    return Promise.resolve({ rows: fitting, lastKey: fitting.at(-1)?.slice(0, 1) ?? null, complete, bytes: 0, high });
  }

  override readKeys({ keys, maxBytes }: { keys: readonly Row[]; maxBytes?: number }): Promise<KeysRead> {
    const { rows, high, mostRows } = this.#answers;
    const answered = maxBytes === undefined ? keys : keys.slice(0, mostRows);
    const found = answered.flatMap(([key]) => rows.filter((row) => row[0] === key));
    const absent = answered.filter(([key]) => !rows.some((row) => row[0] === key));
    return Promise.resolve({ rows: found, absent, unanswered: keys.slice(answered.length), bytes: 0, high });
  }
}

class GivenStream extends RecordedStream {
  readonly #answers: Answers;

  constructor(answers: Answers) {
    super();
    this.#answers = answers;
  }

  override readCheckpoint(): Promise<RecordedCheckpoint> {
    return Promise.resolve(this.#answers.checkpoint);
  }

  override readTable(): Promise<RecordedTable | null> {
    return Promise.resolve(this.#answers.table);
  }

  override readHighestVersion(): Promise<string> {
    return Promise.resolve(HIGHEST);
  }
}

class GivenChanges extends NamedChanges {
  readonly #answers: Answers;

  constructor(answers: Answers) {
    super();
    this.#answers = answers;
  }

  override read(_: TableLayout, changes: readonly NamedChange[]): Promise<readonly (Row | null | undefined)[]> {
    this.#answers.named.push(...changes);
    return Promise.resolve(changes.map(() => this.#answers.change));
  }
}

class GivenSink extends VerifiedSink {
  readonly #answers: Answers;

  constructor(answers: Answers) {
    super();
    this.#answers = answers;
  }

  override read(_: TableLayout, keys: readonly Row[]): Promise<readonly (StoredRow | null)[]> {
    const answers = this.#answers;
    if (answers.sinkError !== null) return Promise.reject(answers.sinkError);
    const now = answers.stored[Math.min(answers.reads++, answers.stored.length - 1)] ?? null;
    return Promise.resolve(keys.map(() => now));
  }

  override async *list(): AsyncIterable<ListedPage> {
    // not asked for here
  }

  override listQuarantined(): Promise<readonly Row[]> {
    return Promise.resolve(this.#answers.quarantined);
  }

  override demote(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

describe('RowVerifier', () => {
  const key: Row = [1, null];
  const judged = { state: 'judged', equal: 0, mismatches: [], unsettled: [], quarantined: [] };

  it.each([
    { stepMs: 20, missing: 1, unsettled: [] },
    { stepMs: 40, missing: 0, unsettled: [key] },
  ])(
    'I8: says nothing of an absent row when its trace may have been removed meanwhile ($stepMs ms between looks)',
    async ({ stepMs, missing, unsettled }) => {
      const answers = new Answers();
      answers.stored = [null];
      let nowMs = 0;
      const verifier = answers.verifier({ tracesMs: 100, nowMs: () => (nowMs += stepMs) });
      const { verdict } = await verifier.verifyChunk({ table: layout, after: null, limit: 10 }, signal);
      expect(verdict).toMatchObject({
        state: 'judged',
        mismatches: Array(missing).fill({ kind: 'missing' }),
        unsettled,
      });
    },
  );

  it('counts equal rows', async () => {
    expect(await new Answers().verify()).toEqual({ ...judged, equal: 1 });
  });

  it('a fault that is found once only is no mismatch', async () => {
    const answers = new Answers();
    answers.stored = [null, stored()];
    expect(await answers.verify()).toEqual({ ...judged, equal: 1 });
    expect(answers.reads).toBe(2);
  });

  it.each<[string, StoredRow | null, object]>([
    ['missing', null, { kind: 'missing' }],
    ['missing', stored({ isDeleted: true }), { kind: 'missing' }],
    ['undecodable', stored({ compare: () => null }), { kind: 'undecodable' }],
    ['damaged', stored({ damage: 'it has a field "x"' }), { kind: 'damaged', damage: 'it has a field "x"' }],
    ['damaged', stored({ version: null }), { kind: 'damaged' }],
    ['damaged', stored({ version: `${HIGHEST.slice(0, 43)}g` }), { kind: 'damaged' }],
    [
      'different',
      stored({ compare: () => [{ column: 'value', source: '10', sink: '11' }] }),
      { kind: 'different', differences: [{ column: 'value', source: '10', sink: '11' }] },
    ],
  ])('a row that is twice found %s is a mismatch', async (_, given, expected) => {
    const answers = new Answers();
    answers.stored = [given];
    expect(await answers.verify()).toEqual({
      ...judged,
      mismatches: [expect.objectContaining({ ...expected, key, row: [1, 10], stored: given })],
    });
  });

  it.each(['11111111-1111-1111-1111-111111111111:x', '11111111-1111-1111-1111-111111111111:1-5', 'none'])(
    'what is stored under an older lineage with text that is not a GTID is damaged, not unsettled for ever: %s',
    async (gtid) => {
      const answers = new Answers();
      answers.checkpoint = { ...answers.checkpoint, version: `00000002${VERSION.slice(8)}` };
      answers.stored = [stored({ gtid })];
      expect(await answers.verify()).toMatchObject({
        mismatches: [{ kind: 'damaged', damage: 'its gtid is no GTID' }],
        unsettled: [],
      });
    },
  );

  it('a row that only the sink has is extra, the trace of a deleted one is not', async () => {
    const answers = new Answers();
    answers.rows = [];
    const verify = () => answers.verifier().verifyKeys(layout, layout, [key], signal);
    expect(await verify()).toEqual({ ...judged, mismatches: [expect.objectContaining({ kind: 'extra', row: null })] });
    answers.stored = [stored({ isDeleted: true, version: LATER })];
    expect(await verify()).toEqual({ ...judged, equal: 1 });
  });

  it('a mismatch whose changes wait in the quarantine is counted there', async () => {
    const answers = new Answers();
    answers.stored = [null];
    answers.quarantined = [key];
    expect(await answers.verify()).toEqual({ ...judged, quarantined: [key] });
  });

  it.each<[string, Row | null | undefined, object]>([
    ['as that change left it', [1, 10], { equal: 1 }],
    ['not as that change left it', [1, 12], { mismatches: [expect.objectContaining({ kind: 'different' })] }],
    ['of a change that deleted it', null, { mismatches: [expect.objectContaining({ kind: 'extra' })] }],
    ['of a change that is not to be had', undefined, { unsettled: [key] }],
  ])('a row that never rests is compared with the change of its version: %s', async (_, change, expected) => {
    const answers = new Answers();
    const isTen = ([, value]: Row): boolean => value === 10;
    const compare = (row: Row) => (isTen(row) ? [] : [{ column: 'value', source: String(row[1]), sink: '10' }]);
    answers.stored = [stored({ version: LATER, compare })];
    answers.change = change;
    expect(await answers.verify()).toEqual({ ...judged, ...expected });
    expect(answers.reads).toBe(settings.attempts);
    expect(answers.named).toEqual([{ key, version: LATER }]);
  });

  it('what was forged to a place that the log reaches later is judged by what is stored once the checkpoint has passed it', async () => {
    const answers = new Answers();
    const verifyWith = async (differences: readonly Difference[]): Promise<unknown> => {
      answers.stored = [stored({ version: LATER, compare: () => differences })];
      return answers.verify();
    };
    // the change that was refused because of it
    const lost = [{ column: 'value', source: '10', sink: '9' }];
    for (const differences of [[], lost])
      expect(await verifyWith(differences)).toEqual({ ...judged, unsettled: [key] });
    answers.checkpoint = { ...answers.checkpoint, version: HIGHEST };
    expect(await verifyWith([])).toEqual({ ...judged, equal: 1 });
    expect(await verifyWith(lost)).toMatchObject({ mismatches: [{ kind: 'different', differences: lost }] });
  });

  it('rows that never rest are unsettled where nothing is kept of former rows, and where nothing is stored', async () => {
    const answers = new Answers();
    answers.stored = [stored({ version: LATER })];
    answers.change = [1, 10];
    const chunk = { table: layout, after: null, limit: 10 };
    const verifier = new RowVerifier({
      ...{ ...settings, reader: new GivenReader(answers), sink: new GivenSink(answers) },
      ...{ stream: new GivenStream(answers), pause: () => Promise.resolve() },
    });
    expect(await verifier.verifyChunk(chunk, signal)).toMatchObject({ verdict: { ...judged, unsettled: [key] } });
  });

  it('a row that never rests is unsettled at once where its next change will bring it again', async () => {
    const answers = new Answers();
    answers.stored = [stored({ version: LATER })];
    answers.change = [1, 12];
    const verifier = answers.verifier({ leavesRestless: true, attempts: 2 });
    expect(await verifier.verifyKeys(layout, layout, [key], signal)).toEqual({ ...judged, unsettled: [key] });
    expect(answers.reads).toBe(2);
  });

  it('samples the rows of a chunk, also those that are equal', async () => {
    const answers = new Answers();
    const chunk = { table: layout, after: null, limit: 10 };
    const sampled = await answers.verifier().verifyChunk({ ...chunk, sampleShare: 1 }, signal);
    expect(sampled).toMatchObject({ verdict: { equal: 1 }, sampled: [key] });
    expect(await answers.verifier().verifyChunk(chunk, signal)).toMatchObject({ sampled: [] });
  });

  it('says in which range of a chunk extras may be, when the sink sees them and the rows are all of the range', async () => {
    const answers = new Answers();
    answers.rows = [
      [1, 10],
      [2, 10],
    ];
    const sink = new GivenSink(answers);
    const extrasIn = async (request: Partial<ChunkRequest>): Promise<KeyRange | null> => {
      const chunk = { table: layout, after: null, limit: 10, ...request };
      return (await answers.verifier({ sink }).verifyChunk(chunk, signal)).extrasIn;
    };
    expect(await extrasIn({})).toBeNull();
    sink.seesExtras = () => true;
    expect(await extrasIn({})).toEqual({ after: null, upTo: null });
    expect(await extrasIn({ after: [0], upTo: [5] })).toEqual({ after: [0], upTo: [5] });
    expect(await extrasIn({ limit: 1 })).toEqual({ after: null, upTo: [1] });
    expect(await extrasIn({ scope: { kind: 'range', from: null, to: null } })).toBeNull();
  });

  it('a row that was at fault once and then never rested is not called equal', async () => {
    const answers = new Answers();
    answers.stored = [null, stored({ version: LATER })];
    answers.change = [1, 10];
    expect(await answers.verify()).toEqual({ ...judged, unsettled: [key] });
  });

  it('waits for a limited time for the checkpoint to cover what was read; undecided and errant GTIDs are not waited for', async () => {
    const answers = new Answers();
    answers.high = '11111111-1111-1111-1111-111111111111:1-5';
    expect(await answers.verify()).toMatchObject({ state: 'waiting' });
    answers.checkpoint = {
      version: VERSION,
      gtidSet: '11111111-1111-1111-1111-111111111111:1-3:5',
      undecidedSet: '11111111-1111-1111-1111-111111111111:4',
    };
    expect(await answers.verify()).toEqual({ ...judged, equal: 1 });
  });

  it.each<[string, RecordedTable | null, object]>([
    ['one that DSS has not seen', null, { state: 'waiting' }],
    ['one that is being copied', { generation: 1, copied: 'no', layout }, { state: 'being re-read' }],
    ['one that the sink does not get', { generation: 1, copied: 'never', layout }, { state: 'not verifiable' }],
    [
      'one without a key',
      { generation: 1, copied: 'yes', layout: { ...layout, key: [] } },
      { state: 'not verifiable' },
    ],
  ])('judges no table such as %s', async (_, table, expected) => {
    const answers = new Answers();
    answers.table = table;
    expect(await answers.verify()).toMatchObject(expected);
    expect(answers.reads).toBe(0);
  });

  it('a table whose layout is not the adopted one is being re-read; other errors are the caller’s', async () => {
    const answers = new Answers();
    answers.readError = new DittoError('DITTO_SOURCE_LAYOUT_CHANGED', 'changed');
    expect(await answers.verify()).toMatchObject({ state: 'being re-read' });
    answers.readError = new DittoError('DITTO_SOURCE_UNREACHABLE', 'gone');
    await expect(answers.verify()).rejects.toThrow('gone');
  });

  it('a table of which the sink can not be asked is not verifiable; other errors are the caller’s', async () => {
    const answers = new Answers();
    answers.sinkError = notVerifiable('the topic expires');
    expect(await answers.verify()).toEqual({ state: 'not verifiable', reason: 'the topic expires' });
    answers.sinkError = new DittoError('DITTO_KAFKA_UNAVAILABLE', 'gone');
    await expect(answers.verify()).rejects.toThrow('gone');
  });

  it('reads rows that are wider than a read may be one by one', async () => {
    const answers = new Answers();
    answers.rows = [
      [1, 10],
      [2, 20],
      [3, 30],
    ];
    answers.mostRows = 0;
    const chunk = await answers.verifier().verifyChunk({ table: layout, after: null, limit: 10 }, signal);
    expect(chunk).toMatchObject({ verdict: { equal: 1 }, lastKey: [1], complete: false });
    const ends: unknown[] = [];
    const onRead = (end: unknown): Promise<void> => Promise.resolve(void ends.push(end));
    await answers.verifier().verifyChunk({ table: layout, after: null, limit: 10, onRead }, signal);
    expect(ends).toEqual([{ layout, lastKey: [1], complete: false, rows: 1 }]);
    const keys = answers.rows.map((row): Row => [row[0] ?? null, null]);
    expect(await answers.verifier().verifyKeys(layout, layout, keys, signal)).toEqual({ ...judged, equal: 3 });
  });
});
