import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { changeVersion, type Checkpoint, type TableLayout, ValueImages } from '#change-events';
import { silentLogger, Waits } from '#kernel';
import { Pipeline } from '../stream/pipeline.ts';
import { type Grant, type TableRecord, TableStore } from '../ports/stores.ts';
import { TableRecords } from '../tables/table-records.ts';
import { WindowedSnapshot } from '../snapshot/windowed-snapshot.ts';
import { type Window } from './window.ts';
import {
  CASCADING_KEY,
  Choices,
  layout,
  ModelMirror,
  ModelReader,
  ModelServer,
  ModelSink,
  ModelSinkState,
  ModelSource,
  offsetBehind,
  otherLayout,
  SERVER,
  Turns,
  STEADY_KEYS,
} from '../../test/windowed-read-model.ts';

/** Of both tables. */
const KEYS = 12;
const LAYOUTS = [layout, otherLayout];
const CHUNK_ROWS = 2;
const grant: Grant = { source: 's', owner: 'o', token: 1 };

/** What the state database holds: it outlives a crash. */
interface ModelProgress {
  readonly records: Map<string, TableRecord>;
  reserved: number;
  /** Most windows that were open at once: of one table, and tables with one. */
  readonly overlaps: { windows: number; tables: number };
}

/** One process's way to it; a crash may forestall what is being written. */
class ModelTableStore extends TableStore {
  readonly #kept: ModelProgress;
  readonly #turns: Turns;
  readonly #signal: AbortSignal;

  constructor(kept: ModelProgress, turns: Turns, signal: AbortSignal) {
    super();
    this.#kept = kept;
    this.#turns = turns;
    this.#signal = signal;
  }

  load(): Promise<readonly TableRecord[]> {
    return Promise.resolve([...this.#kept.records.values()]);
  }

  async save(_grant: Grant, records: readonly TableRecord[]): Promise<void> {
    await this.#turns.take();
    this.#signal.throwIfAborted();
    for (const record of records) this.#kept.records.set(record.table, record);
  }

  async reserveReads(_grant: Grant, upTo: number): Promise<void> {
    await this.#turns.take();
    this.#signal.throwIfAborted();
    this.#kept.reserved = Math.max(this.#kept.reserved, upTo);
  }

  reservedReads(): Promise<number> {
    return Promise.resolve(this.#kept.reserved);
  }
}

/** One process: a pipeline and a snapshot on the model. Everything it holds is gone when it crashes. */
class ModelProcess {
  readonly sink: ModelSink;
  readonly turns = new Turns();
  readonly pipeline: Pipeline;
  readonly reader: ModelReader;
  readonly snapshot: WindowedSnapshot;
  readonly #stop = new AbortController();
  readonly #ended: Promise<unknown>;

  constructor(server: ModelServer, state: ModelSinkState, kept: ModelProgress, start: Checkpoint) {
    this.sink = new ModelSink(state, changeVersion);
    const store = new ModelTableStore(kept, this.turns, this.#stop.signal);
    const records = new TableRecords({ grant, store, known: [...kept.records.values()] });
    this.pipeline = new Pipeline({
      source: 's',
      records,
      start,
      readSequences: { reserved: kept.reserved, reserve: (upTo) => store.reserveReads(grant, upTo) },
      changeSource: new ModelSource(server, this.turns),
      sinks: [this.sink],
      includes: () => true,
      reaches: () => true,
      tables: LAYOUTS,
      inFlightBytes: 1500,
      maxNotedBytes: 300,
      backoff: { initialMs: 1, maxMs: 1 },
      logger: silentLogger,
      waits: new Waits({ limitMs: 60_000, logger: silentLogger, nowMs: Date.now }),
      nowMs: () => 0,
      onConfirmed: () => undefined,
      mayDeliver: () => true,
      ...STEADY_KEYS,
      onTableUnread: () => Promise.resolve(),
      cascades: {
        facts: { read: () => Promise.resolve([CASCADING_KEY]) },
        keys: [CASCADING_KEY],
        rereads: true,
        isAsked: (tables) => this.snapshot.isAsked(tables),
        onCascade: (tables) => this.snapshot.ask(tables),
      },
    });
    this.reader = new ModelReader(server, this.turns);
    this.snapshot = new WindowedSnapshot({
      records,
      pipeline: this.pipeline,
      reader: this.reader,
      mirror: new ModelMirror(state, this.turns),
      tablesInFlight: 2,
      cascadePauseMs: 0,
      copiesAll: true,
      chunkRows: CHUNK_ROWS,
      chunkBytes: 1000,
      chunksInFlight: 4,
      pauseMs: 0,
      backoff: { initialMs: 1, maxMs: 1 },
      logger: silentLogger,
      waits: new Waits({ limitMs: 60_000, logger: silentLogger, nowMs: Date.now }),
      nowMs: () => 0,
    });
    this.#countOverlaps(kept.overlaps);
    const failures = [this.pipeline.run(this.#stop.signal, this.#stop.signal), this.snapshot.run(this.#stop.signal)];
    this.#ended = Promise.allSettled(failures);
    for (const failure of failures) failure.catch(() => undefined);
  }

  #countOverlaps(overlaps: ModelProgress['overlaps']): void {
    const { reads } = this.pipeline;
    const open = new Map<Window, TableLayout>();
    const [openOne, abandon, close] = [reads.open.bind(reads), reads.abandon.bind(reads), reads.close.bind(reads)];
    reads.open = async (...of) => {
      const window = await openOne(...of);
      open.set(window, of[0]);
      const windows = LAYOUTS.map((one) => [...open.values()].filter((layoutOf) => layoutOf === one).length);
      overlaps.windows = Math.max(overlaps.windows, ...windows);
      overlaps.tables = Math.max(overlaps.tables, windows.filter((count) => count > 0).length);
      return window;
    };
    reads.abandon = (window) => {
      open.delete(window);
      abandon(window);
    };
    reads.close = (window, read) => close(window, read).finally(() => open.delete(window));
  }

  /** A read that nobody asked the snapshot for: re-reads must wait for those that began before. */
  async readBeside(of: TableLayout, after: number, limit: number): Promise<void> {
    const { pipeline, reader } = this;
    const { signal } = this.#stop;
    const window = await pipeline.reads.open(of, 0, signal).catch(() => null);
    if (window === null) return; // a crash forestalls it
    try {
      const { dispatchedSet } = window;
      const read = await reader.readChunk({ layout: of, after: [after], limit, dispatchedSet, signal });
      await pipeline.reads.close(window, { ...read, rows: new ValueImages(of, read.rows) });
    } catch {
      pipeline.reads.abandon(window);
    }
  }

  async crash(): Promise<void> {
    this.#stop.abort(new Error('crash'));
    let gone = false as boolean;
    void this.#ended.then(() => (gone = true));
    while (!gone) {
      await settle();
      while (this.turns.size > 0) this.turns.run(0);
    }
  }
}

/** Lets every promise that can continue do so. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface ModelFaults {
  readonly crashes: boolean;
  /** A transaction may be visible before it is in gtid_executed. */
  readonly executedLags: boolean;
  /** Transactions may change rows without the log saying so. */
  readonly cascades: boolean;
}

async function runModel(
  numbers: readonly number[],
  faults: ModelFaults,
): Promise<{ server: ModelServer; state: ModelSinkState; overlaps: ModelProgress['overlaps'] }> {
  const choices = new Choices(numbers);
  const server = new ModelServer();
  const state = new ModelSinkState();
  const store: ModelProgress = { records: new Map(), reserved: 0, overlaps: { windows: 0, tables: 0 } };
  for (let i = 0; i < 4; i++) server.commit(choices, KEYS);
  for (let i = 0; i < 4; i++) server.show();
  for (let i = 0; i < 4; i++) server.execute();
  let saved = startOf(server);
  let process = new ModelProcess(server, state, store, saved);
  const choose = (): TableLayout => LAYOUTS[choices.below(2)] as TableLayout;
  const actions = [
    () => server.commit(choices, KEYS, faults.cascades && choices.below(4) === 0),
    () => {
      server.show();
      if (!faults.executedLags) server.execute();
    },
    () => server.execute(),
    () => process.turns.run(choices.below(Math.max(1, process.turns.size))),
    () => process.turns.run(choices.below(Math.max(1, process.turns.size))),
    () => process.turns.run(choices.below(Math.max(1, process.turns.size))),
    () => void process.snapshot.request(choose()).catch(() => undefined), // a crash forestalls it
    () => void process.readBeside(choose(), choices.below(KEYS) - 1, 1 + choices.below(KEYS)),
    () => process.sink.apply(choices.below(16)),
    () => process.sink.acknowledge(choices.below(16)),
    () => {
      // a re-read takes many steps: a crash that repeats what led to it needs a checkpoint that is older still
      if (!faults.cascades || choices.below(20) === 0) saved = process.pipeline.checkpoint();
    },
  ];
  while (!choices.exhausted) {
    await settle();
    const choice = choices.below(102);
    if (choice >= (faults.cascades ? 99 : 101) && faults.crashes) {
      await process.crash();
      process = new ModelProcess(server, state, store, saved);
    } else (actions[choice % actions.length] as () => void)();
  }
  if (faults.crashes) {
    // what was completed since the last checkpoint is repeated, over what the sinks were given after it
    if (numbers.length % 3 > 0) await finish(server, process, store);
    await process.crash();
    process = new ModelProcess(server, state, store, saved);
  }
  await finish(server, process, store);
  await process.crash();
  return { server, state, overlaps: store.overlaps };
}

function startOf(server: ModelServer): Checkpoint {
  const position = {
    gtidSet: server.executedSet(),
    file: 'binlog.000001',
    offset: offsetBehind(server.executedCount),
    serverUuid: SERVER,
  };
  return {
    source: 's',
    lineage: 1,
    position,
    dispatchedSet: position.gtidSet,
    undecidedSet: '',
    version: '',
    commitMicros: 0,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: 0,
  };
}

/** The source is quiet: everything that can happen happens. */
async function finish(server: ModelServer, process: ModelProcess, store: ModelProgress): Promise<void> {
  for (let round = 0; round < 3000; round++) {
    await settle();
    server.show();
    server.execute();
    while (process.sink.size > 0) {
      process.sink.apply(0);
      process.sink.acknowledge(0);
    }
    for (let i = process.turns.size; i > 0; i--) process.turns.run(0);
    const covered = process.pipeline.checkpoint().position.gtidSet === server.executedSet();
    if (covered && server.executedCount === server.log.length && isCopied(store)) return;
  }
  throw new Error('the model did not come to rest');
}

function isCopied({ records }: ModelProgress): boolean {
  return LAYOUTS.every(({ table }) => records.get(table)?.copy.state === 'done');
}

const RUNS = 400;
const schedule = fc.array(fc.nat(10_000), { minLength: 100, maxLength: 1500, size: 'max' });

describe('windowed read', () => {
  it.each([
    ['', false],
    [' and unlogged cascades', true],
  ])(
    'I4: for any order of commits, visibility, reads, acknowledgements, crashes%s, the sinks end up with what the source says',
    async (_, cascades) => {
      const overlapping = { windows: 0, tables: 0 };
      await fc.assert(
        fc.asyncProperty(schedule, async (numbers) => {
          const { server, state, overlaps } = await runModel(numbers, { crashes: true, executedLags: true, cascades });
          const mirror = new Map(
            [...state.mirror].flatMap(([key, { value }]) => (value === null ? [] : [[key, value] as const])),
          );
          const newest = new Map(
            [...state.topic].flatMap(([key, values]) =>
              values.at(-1) === null ? [] : [[key, values.at(-1)] as const],
            ),
          );
          expect(sorted(mirror)).toEqual(sorted(server.committed));
          expect(sorted(newest)).toEqual(sorted(server.committed));
          if (overlaps.windows >= 3) overlapping.windows++;
          if (overlaps.tables >= 2) overlapping.tables++;
        }),
        { numRuns: RUNS },
      );
      // most runs show what reads side by side can do to each other
      expect(Math.min(overlapping.windows, overlapping.tables)).toBeGreaterThan(RUNS / 2);
    },
    300_000,
  );

  it('I3: while the process lives, no document ever shows an older value again, whatever is read when', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async (numbers) => {
        const { state } = await runModel(numbers, { crashes: false, executedLags: false, cascades: false });
        expect(state.wentBack).toEqual([]);
      }),
      { numRuns: 200 },
    );
  }, 300_000);
});

function sorted(map: ReadonlyMap<number, unknown>): unknown[] {
  return [...map].sort(([a], [b]) => a - b);
}
