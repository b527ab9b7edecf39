import { describe, expect, it } from '@jest/globals';
import {
  changeVersion,
  type Checkpoint,
  DEFAULT_SQL_MODE,
  type Row,
  type TableLayout,
  type TableName,
  ValueImages,
} from '#change-events';
import { Deferred, DittoError, silentLogger, Waits } from '#kernel';
import { MEMORY_REFUSED, MemorySink } from '#testing';
import { Pipeline, type PipelineOptions } from './pipeline.ts';
import { type ChangeSink } from '../ports/change-sink.ts';
import { ChangeSource, type SourceBatch, type SourceItem } from '../ports/change-source.ts';
import { RefusedChanges } from '../ports/refused-changes.ts';
import { createRecords, layout, SERVER, STEADY_KEYS } from '../../test/windowed-read-model.ts';
import { type Window } from '../windows/window.ts';

const OTHER_SERVER = '22222222-2222-2222-2222-222222222222';
const down = new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true });

/** Each attempt to stream gives the next script: batches, then the error or the end of the run. */
class ScriptedSource extends ChangeSource {
  readonly froms: (string | null)[] = [];
  /** What is waited for before the batch of that index. */
  readonly before = new Map<number, Promise<unknown>>();
  readonly #scripts: (readonly (SourceItem[] | Error)[])[];

  constructor(...scripts: (readonly (SourceItem[] | Error)[])[]) {
    super();
    this.#scripts = scripts;
  }

  async *stream({ from, signal }: Parameters<ChangeSource['stream']>[0]): AsyncIterable<SourceBatch> {
    this.froms.push(from.gtidSet);
    for (const [index, items] of (this.#scripts.shift() ?? []).entries()) {
      await this.before.get(index);
      if (items instanceof Error) throw items;
      yield { items, bytes: 100 };
    }
    if (signal.aborted) return;
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  }
}

function imagesOf(rows: readonly Row[], of: TableLayout = layout): ValueImages {
  return new ValueImages(of, rows);
}

function transaction(
  number: number,
  items: readonly SourceItem[],
  at: { serverUuid?: string; offset?: number } = {},
): SourceItem[] {
  const place = { serverUuid: SERVER, offset: number * 100, ...at };
  const begin = {
    gtid: `${SERVER}:${number}`,
    preparedGtid: null,
    serverId: 1,
    file: 'binlog.000002',
    commitMicros: number,
    ...place,
  };
  return [
    { type: 'begin', transaction: begin },
    ...items,
    { type: 'end', file: 'binlog.000002', endOffset: place.offset + 99 },
  ];
}

function row(key: number, of: TableLayout = layout): SourceItem {
  return {
    type: 'rows',
    op: 'create',
    layout: of,
    before: null,
    after: new ValueImages(of, [[key, 1]]),
    firstRowIndex: 0,
  };
}

function statement(sql: string): SourceItem {
  return { type: 'statement', database: 'd', sql, sqlMode: DEFAULT_SQL_MODE };
}

function start(gtidSet = ''): Checkpoint {
  const position = { gtidSet, file: '', offset: 0, serverUuid: SERVER };
  return {
    source: 's',
    lineage: 1,
    position,
    dispatchedSet: gtidSet,
    undecidedSet: '',
    version: '',
    commitMicros: 0,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: 0,
  };
}

function build(changeSource: ChangeSource, sink: ChangeSink, options: Partial<PipelineOptions> = {}): Pipeline {
  return new Pipeline({
    source: 's',
    start: start(),
    readSequences: { reserved: 0, reserve: () => Promise.resolve() },
    changeSource,
    sinks: [sink],
    includes: () => true,
    reaches: () => true,
    tables: [layout],
    inFlightBytes: 1_000_000,
    maxNotedBytes: 1000,
    backoff: { initialMs: 1, maxMs: 1 },
    logger: silentLogger,
    waits: new Waits({ limitMs: 60_000, logger: silentLogger, nowMs: Date.now }),
    nowMs: () => 0,
    onConfirmed: () => undefined,
    mayDeliver: () => true,
    ...STEADY_KEYS,
    records: createRecords(),
    onTableUnread: () => Promise.resolve(),
    cascades: null,
    ...options,
  });
}

async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error('it did not come to pass');
}

const never = new AbortController().signal;

function openWindow(pipeline: Pipeline, of: TableLayout): Promise<Window> {
  return pipeline.reads.open(of, 0, never);
}

describe('Pipeline', () => {
  it('I2: no sink sees a read whose number a later owner could give again', async () => {
    const sink = new MemorySink();
    const reserving = new Deferred<undefined>();
    const asked: number[] = [];
    const reserve = async (upTo: number): Promise<void> => {
      asked.push(upTo);
      await reserving.promise;
    };
    const stop = new AbortController();
    const pipeline = build(new ScriptedSource([transaction(1, [row(1)])]), sink, {
      readSequences: { reserved: 41, reserve },
    });
    const run = pipeline.run(stop.signal, never);
    await until(() => sink.accepted.length > 0);
    const closed = pipeline.reads.close(await openWindow(pipeline, layout), { rows: imagesOf([[2, 2]]), high: '' });
    await until(() => asked.length > 0);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sink.accepted.map(({ op }) => op)).toEqual(['create']);
    reserving.resolve(undefined);
    await closed;
    expect(sink.accepted.at(-1)).toMatchObject({ op: 'read', readSequence: 42 });
    expect(asked[0]).toBeGreaterThanOrEqual(42);
    stop.abort();
    await run;
  });

  it('I3: rows that the log deletes, or moves to another key, while they are read are not given', async () => {
    const sink = new MemorySink();
    const stop = new AbortController();
    const goOn = new Deferred<undefined>();
    const images = (...keys: number[]): ValueImages =>
      new ValueImages(
        layout,
        keys.map((key) => [key, 1]),
      );
    const deleted = {
      type: 'rows',
      op: 'delete',
      layout,
      before: images(2, 3),
      after: null,
      firstRowIndex: 0,
    } as const;
    const moved = { ...deleted, op: 'update', before: images(4), after: images(5), firstRowIndex: 2 } as const;
    const source = new ScriptedSource([transaction(1, []), transaction(2, [deleted, moved])]);
    source.before.set(1, goOn.promise);
    const pipeline = build(source, sink);
    const run = pipeline.run(stop.signal, never);
    await until(() => pipeline.status().transactions === 1);
    const window = await openWindow(pipeline, layout);
    goOn.resolve(undefined);
    const rows = imagesOf([1, 2, 3, 4, 5, 6].map((key) => [key, 1]));
    const settled = await pipeline.reads.close(window, { rows, high: `${SERVER}:1-2` });
    expect(settled).toMatchObject({ emittedRows: 2 });
    const reads = sink.accepted.filter(({ op }) => op === 'read').map(({ after }) => after?.[0]);
    expect(reads).toEqual([1, 6]);
    stop.abort();
    await run;
  });

  it('a read of a quiet source has the time of the read and the end of the log as its place', async () => {
    const sink = new MemorySink();
    const stop = new AbortController();
    const endOfLog = { gtidSet: '', file: 'binlog.000002', offset: 299, serverUuid: SERVER };
    const pipeline = build(new ScriptedSource([]), sink, { endOfLog, nowMs: () => 1_770_000_000_000 });
    const run = pipeline.run(stop.signal, never);
    await pipeline.reads.close(await openWindow(pipeline, layout), { rows: imagesOf([[2, 2]]), high: '' });
    const place = { file: 'binlog.000002', offset: 299, commitMicros: 1_770_000_000_000_000 };
    expect(sink.accepted).toMatchObject([{ op: 'read', transaction: place }]);
    stop.abort();
    await run;
  });

  it('I2: a sink is never asked to prepare a table twice at once, although a read and the stream see it first together', async () => {
    const sink = new MemorySink();
    const [gate, goOn] = [new Deferred<undefined>(), new Deferred<undefined>()];
    let busy = 0;
    const most: number[] = [];
    sink.answerTable = async () => {
      most.push(++busy);
      await gate.promise;
      busy--;
    };
    const stop = new AbortController();
    const fromCatalogue = { ...layout };
    const source = new ScriptedSource([transaction(1, []), transaction(2, [row(1)])]);
    source.before.set(1, goOn.promise);
    const pipeline = build(source, sink);
    const run = pipeline.run(stop.signal, never);
    await until(() => pipeline.status().transactions === 1);
    const closed = pipeline.reads.close(await openWindow(pipeline, fromCatalogue), {
      rows: imagesOf([[2, 2]]),
      high: '',
    });
    await until(() => sink.prepared.length === 1);
    // the sink is at work for the read when the stream comes to its first row
    goOn.resolve(undefined);
    await until(() => pipeline.status().logBytes === 200);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sink.accepted).toEqual([]);
    gate.resolve(undefined);
    expect((await closed)?.emittedRows).toBe(1);
    await until(() => sink.accepted.length === 2);
    expect(most).toEqual(most.map(() => 1));
    stop.abort();
    await run;
  });

  it('I3: rows of one event have versions of their own, in the order of the log', async () => {
    const sink = new MemorySink();
    const rows = (firstRowIndex: number, ...keys: number[]): SourceItem => ({
      ...{ type: 'rows', op: 'create', layout, before: null, firstRowIndex },
      after: new ValueImages(
        layout,
        keys.map((key) => [key, 1]),
      ),
    });
    const source = new ScriptedSource([
      transaction(1, [rows(0, 1, 2), rows(2, 1, 2, 3)]),
      transaction(2, [rows(0, 2, 1)]),
    ]);
    const pipeline = build(source, sink);
    const stop = new AbortController();
    const run = pipeline.run(stop.signal, never);
    await until(() => sink.accepted.length === 7);
    const versions = sink.accepted.map(changeVersion);
    expect(versions).toEqual([...new Set(versions)].sort());
    expect(sink.accepted.map(({ after }) => after?.[0])).toEqual([1, 2, 1, 2, 3, 2, 1]);
    stop.abort();
    await run;
  });

  it("I5: a batch that comes when the lease is over is nobody's to deliver here, and the run ends", async () => {
    const sink = new MemorySink();
    let isLeased = true;
    const goOn = new Deferred<undefined>();
    const source = new ScriptedSource([transaction(1, [row(1)]), transaction(2, [row(2)])], [transaction(2, [row(2)])]);
    source.before.set(1, goOn.promise);
    const pipeline = build(source, sink, { mayDeliver: () => isLeased });
    const run = pipeline.run(never, never);
    await until(() => pipeline.status().transactions === 1);
    expect(sink.mayDeliver()).toBe(true);
    isLeased = false;
    expect(sink.mayDeliver()).toBe(false);
    goOn.resolve(undefined);
    await expect(run).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST', retriable: true });
    expect(sink.accepted.map(({ after }) => after?.[0])).toEqual([1]);
    expect(source.froms).toHaveLength(1);
    expect([sink.drains, sink.isClosed]).toEqual([0, true]);
  });

  it('I1: a read is confirmed when every sink has confirmed each of its rows, not before', async () => {
    const sinks = [new MemorySink(), new MemorySink()];
    const held: Deferred<undefined>[] = [];
    for (const sink of sinks)
      sink.answer = async ({ op }) => {
        if (op === 'create') return;
        const answer = new Deferred<undefined>();
        held.push(answer);
        await answer.promise;
      };
    const stop = new AbortController();
    const pipeline = build(new ScriptedSource([transaction(1, [row(1)])]), sinks[0] as ChangeSink, { sinks });
    const run = pipeline.run(stop.signal, never);
    await until(() => pipeline.status().transactions === 1);
    const read = { rows: imagesOf([[2, 2], [3, 3]]), absent: [[4, null]], high: '' }; // prettier-ignore
    const settled = await pipeline.reads.close(await openWindow(pipeline, layout), read);
    expect(settled?.emittedRows).toBe(3);
    const seen: string[] = [];
    void settled?.confirmed.then(() => seen.push('read'));
    void pipeline.waitUntilConfirmed().then(() => seen.push('all'));
    expect(held).toHaveLength(6);
    for (const answer of held) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(seen).toEqual([]);
      answer.resolve(undefined);
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen.sort()).toEqual(['all', 'read']);
    stop.abort();
    await run;
    expect(sinks.map(({ drains }) => drains)).toEqual([1, 1]);
  });

  it('I2, I3: a read that comes while a transaction is open joins the stream behind it, and below nothing of it', async () => {
    const sink = new MemorySink();
    const [begin, goOn] = [new Deferred<undefined>(), new Deferred<undefined>()];
    const whole = transaction(2, [row(1), row(2)]);
    const source = new ScriptedSource([transaction(1, []), whole.slice(0, 2), whole.slice(2)]);
    source.before.set(1, begin.promise);
    source.before.set(2, goOn.promise);
    const pipeline = build(source, sink);
    const stop = new AbortController();
    const run = pipeline.run(stop.signal, never);
    await until(() => pipeline.status().transactions === 1);
    await pipeline.reads.waitUntilBehind('', layout);
    begin.resolve(undefined);
    await until(() => sink.accepted.length === 1);
    const window = await openWindow(pipeline, layout);
    // what the stream is in the middle of must be visible to the read, or noted for it
    expect(window.dispatchedSet).toBe(`${SERVER}:1-2`);
    const closed = pipeline.reads.close(window, { rows: imagesOf([[1, 7], [2, 7], [3, 7]]), high: `${SERVER}:1` }); // prettier-ignore
    const version = pipeline.reads.nextVersion();
    await new Promise((resolve) => setImmediate(resolve));
    expect(sink.accepted).toHaveLength(1);
    goOn.resolve(undefined);
    await closed;
    expect(sink.accepted.map(({ op, after }) => [op, after?.[0]])).toEqual([
      ['create', 1],
      ['create', 2],
      ['read', 1],
      ['read', 3],
    ]);
    const versions = sink.accepted.map(changeVersion);
    expect(versions.slice(0, 2).every((one) => one < version)).toBe(true);
    expect(versions.slice(2).every((one) => one > (versions[1] as string))).toBe(true);
    stop.abort();
    await run;
  });

  it('I4: after a version, with no read under way that began before, and numbers in hand for those that follow', async () => {
    const reserved: number[] = [];
    const pipeline = build(new ScriptedSource([transaction(1, [])], []), new MemorySink(), {
      readSequences: { reserved: 0, reserve: (upTo) => Promise.resolve(void reserved.push(upTo)) },
    });
    const stop = new AbortController();
    const run = pipeline.run(stop.signal, never);
    await until(() => pipeline.status().transactions === 1);
    const here = pipeline.reads.nextVersion.bind(pipeline.reads);
    const seen: string[] = [];
    const other = { ...layout, table: 'other' };
    const windows = [await openWindow(pipeline, layout), await openWindow(pipeline, layout)];
    await openWindow(pipeline, other);
    const far = pipeline.reads.waitUntilBehind('ffffffff', layout).then(
      () => seen.push('far'),
      () => seen.push('stopped'),
    );
    const behind = pipeline.reads.waitUntilBehind('', layout).then(() => seen.push('behind'));
    for (const window of windows) {
      await new Promise((resolve) => setImmediate(resolve));
      expect(seen).toEqual([]);
      pipeline.reads.abandon(window);
    }
    await behind;
    expect(reserved.length).toBeGreaterThan(0);
    expect(here()).not.toBe(here());
    stop.abort();
    await run;
    await far;
    expect(seen).toEqual(['behind', 'stopped']);
  });

  it('I6: whoever waits for the stream learns that it has stopped', async () => {
    const pipeline = build(new ScriptedSource([transaction(1, []).slice(0, 1)]), new MemorySink());
    const stop = new AbortController();
    const run = pipeline.run(stop.signal, never);
    await until(() => pipeline.status().logBytes > 0);
    const waiting = [
      pipeline.reads.close(await openWindow(pipeline, layout), { rows: imagesOf([]), high: `${SERVER}:9` }),
      pipeline.reads.waitUntilBehind('ffffffff', layout),
      pipeline.endTable(layout),
    ].map((one) => expect(one).rejects.toMatchObject({ code: 'DITTO_PIPELINE_STOPPED' }));
    stop.abort();
    await run;
    await Promise.all(waiting);
  });

  it('I5: ends when it may wait no longer, although a sink that is down holds the stream', async () => {
    const sink = new MemorySink();
    sink.answerTable = () => new Promise(() => undefined);
    const stop = new AbortController();
    const giveUp = new AbortController();
    const run = build(new ScriptedSource([transaction(1, [row(1)])]), sink).run(stop.signal, giveUp.signal);
    await until(() => sink.prepared.length > 0);
    stop.abort();
    giveUp.abort(new Error('given up'));
    await expect(run).rejects.toThrow('given up');
    expect(sink.accepted).toEqual([]);
    expect(sink.isClosed).toBe(true);
  });

  it('I1: no checkpoint passes a RENAME before the table to be read is recorded', async () => {
    const recorded = new Deferred<undefined>();
    let asked = 0;
    const onTableUnread = async (): Promise<void> => {
      if (++asked === 1) throw down;
      await recorded.promise;
    };
    const stop = new AbortController();
    const source = new ScriptedSource([transaction(1, [statement('RENAME TABLE x.a TO d.b')])]);
    const pipeline = build(source, new MemorySink(), { includes: (database) => database === 'd', onTableUnread });
    const run = pipeline.run(stop.signal, never);
    await until(() => asked === 2);
    expect(pipeline.checkpoint().position.gtidSet).toBe('');
    recorded.resolve(undefined);
    await until(() => pipeline.checkpoint().position.gtidSet === `${SERVER}:1`);
    stop.abort();
    await run;
  });

  it('I1: no checkpoint passes a change that foreign keys hand on before the tables that they reach are recorded', async () => {
    const recorded = new Deferred<undefined>();
    const asked: string[] = [];
    const parent = { database: layout.database, table: layout.table };
    const actions = { onDelete: 'cascade', onUpdate: 'none' } as const;
    const key = { name: 'k', database: 'd', table: 'child', columns: ['parent'], parent, parentColumns: ['id'] };
    const cascades = {
      facts: { read: () => Promise.resolve([]) },
      keys: [{ ...key, ...actions }],
      rereads: true,
      isAsked: () => false,
      onCascade: async (tables: readonly TableName[]) => {
        asked.push(...tables.map(({ table }) => table));
        await recorded.promise;
      },
    };
    const before = new ValueImages(layout, [[1, 1]]);
    const gone: SourceItem = { type: 'rows', op: 'delete', layout, before, after: null, firstRowIndex: 0 };
    const stop = new AbortController();
    const pipeline = build(new ScriptedSource([transaction(1, [gone])]), new MemorySink(), { cascades });
    const run = pipeline.run(stop.signal, never);
    await until(() => asked.length > 0);
    expect([asked, pipeline.checkpoint().position.gtidSet]).toEqual([['child'], '']);
    recorded.resolve(undefined);
    await until(() => pipeline.checkpoint().position.gtidSet === `${SERVER}:1`);
    stop.abort();
    await run;
  });

  it('I3: stops, to be opened anew, when another server answers under the same address', async () => {
    const sink = new MemorySink();
    const source = new ScriptedSource(
      [transaction(1, [row(1)]), down],
      [transaction(2, [row(2)], { serverUuid: OTHER_SERVER })],
    );
    await expect(build(source, sink).run(never, never)).rejects.toMatchObject({
      code: 'DITTO_PIPELINE_SERVER_CHANGED',
      retriable: true,
    });
    expect(sink.accepted).toHaveLength(1);
  });

  it('I6: stops when the places in the log go back, which the mirror would refuse as old', async () => {
    const sink = new MemorySink();
    const source = new ScriptedSource([transaction(5, [row(1)]), transaction(6, [row(2)], { offset: 4 })]);
    await expect(build(source, sink).run(never, never)).rejects.toMatchObject({
      code: 'DITTO_PIPELINE_LOG_WENT_BACK',
      retriable: false,
    });
    expect(sink.accepted).toHaveLength(1);
  });

  it('goes on from the last complete transaction, and expects repeats of the one that the stream broke off in', async () => {
    const sink = new MemorySink();
    const expected: boolean[] = [];
    const whole = transaction(2, [row(1), row(2)]);
    const source = new ScriptedSource(
      [transaction(1, []), whole.slice(0, 2), down],
      [down],
      [whole, transaction(3, [row(3)])],
    );
    const pipeline = build(source, sink);
    sink.onAccept = ({ transaction: of }) => void expected.push(pipeline.inReplayZone(of));
    const stop = new AbortController();
    const run = pipeline.run(stop.signal, never);
    await until(() => pipeline.checkpoint().position.gtidSet === `${SERVER}:1-3`);
    expect(source.froms).toEqual(['', `${SERVER}:1`, `${SERVER}:1`]);
    expect(expected).toEqual([false, true, true, false]);
    stop.abort();
    await run;
  });

  it.each([start(), start(`${SERVER}:1-4`)])(
    'I8: before the first transaction its checkpoint has the version of its start, above every read until then',
    async (from) => {
      const sink = new MemorySink();
      const goOn = new Deferred<undefined>();
      const source = new ScriptedSource([transaction(5, [row(2)])]);
      source.before.set(0, goOn.promise);
      const pipeline = build(source, sink, { start: from });
      const stop = new AbortController();
      const run = pipeline.run(stop.signal, never);
      const { version } = pipeline.checkpoint();
      expect(version).toBe(pipeline.startVersion);
      expect(version).toHaveLength(44);
      const read = { rows: imagesOf([[7, 7]]), lastKey: [7], complete: true, high: from.position.gtidSet };
      await pipeline.reads.close(await openWindow(pipeline, layout), read);
      await pipeline.waitUntilConfirmed();
      expect(pipeline.checkpoint().version).toBe(version);
      const versions = (): string[] => sink.accepted.map((change) => changeVersion(change));
      expect(versions().every((of) => of <= version)).toBe(true);
      goOn.resolve(undefined);
      await until(() => pipeline.checkpoint().version > version);
      expect(versions().filter((of) => of > version)).toHaveLength(1);
      stop.abort();
      await run;
    },
  );

  it('I1: leaves an XA transaction out of its sets until that is decided, and holds up no read for it', async () => {
    const prepared: SourceItem = { type: 'prepared', gtid: `${SERVER}:1` };
    const decided = transaction(3, [row(3)]).map((item) =>
      item.type === 'begin' ? { ...item, transaction: { ...item.transaction, preparedGtid: `${SERVER}:1` } } : item,
    );
    const goOn = new Deferred<undefined>();
    const source = new ScriptedSource([[prepared], transaction(2, [row(2)]), down], [[prepared], decided]);
    const stream = source.stream.bind(source);
    source.stream = async function* (options) {
      if (source.froms.length === 1) await goOn.promise;
      yield* stream(options);
    };
    const pipeline = build(source, new MemorySink());
    const stop = new AbortController();
    const run = pipeline.run(stop.signal, never);
    const read = { rows: imagesOf([[7, 7]]), lastKey: [7], complete: true, high: `${SERVER}:1-2` };
    expect((await pipeline.reads.close(await openWindow(pipeline, layout), read))?.emittedRows).toBe(1);
    await until(() => pipeline.checkpoint().position.gtidSet === `${SERVER}:2`);
    expect(pipeline.checkpoint()).toMatchObject({ dispatchedSet: `${SERVER}:2`, undecidedSet: `${SERVER}:1` });
    goOn.resolve(undefined);
    await until(() => pipeline.checkpoint().position.gtidSet === `${SERVER}:1-3`);
    expect(source.froms).toEqual(['', `${SERVER}:2`]);
    expect(pipeline.checkpoint()).toMatchObject({ dispatchedSet: `${SERVER}:1-3`, undecidedSet: '' });
    stop.abort();
    await run;
  });

  it('I9: does not read on for ever behind one change that nobody confirms', async () => {
    const sink = new MemorySink();
    const stuck = new Deferred<undefined>();
    sink.answer = async ({ transaction: { gtid } }) => {
      if (gtid === `${SERVER}:1`) await stuck.promise;
    };
    const script = Array.from({ length: 1000 }, (_, index) => transaction(index + 1, [row(index)]));
    const pipeline = build(new ScriptedSource(script), sink, { inFlightBytes: 50_000 });
    const stop = new AbortController();
    const run = pipeline.run(stop.signal, never);
    await until(() => sink.accepted.length > 20);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(pipeline.status().transactions).toBeLessThan(200);
    stuck.resolve(undefined);
    await until(() => pipeline.checkpoint().position.gtidSet === `${SERVER}:1-1000`);
    stop.abort();
    await run;
  });

  it('I9: begins a read when those before it, and the sinks, leave room for it; the stream goes on meanwhile', async () => {
    const sink = new MemorySink();
    const script = Array.from({ length: 5 }, (_, index) => transaction(index + 1, [row(index)]));
    const source = new ScriptedSource(script);
    const pipeline = build(source, sink, { inFlightBytes: 10_000 });
    const large = await pipeline.reads.open(layout, 50_000, never);
    expect(pipeline.status().bytesInFlight).toBe(50_000);
    let begun = 0;
    const begin = async (): Promise<Window> => {
      const window = await pipeline.reads.open(layout, 6_000, never);
      begun++;
      return window;
    };
    const reads = [begin(), begin()];
    const stop = new AbortController();
    const run = pipeline.run(stop.signal, never);
    await until(() => pipeline.checkpoint().position.gtidSet === `${SERVER}:1-5`);
    expect(begun).toBe(0);
    const closed = pipeline.reads.close(large, { rows: imagesOf([[99, 1]]), bytes: 9_000, high: `${SERVER}:1-5` });
    expect((await closed)?.emittedRows).toBe(1);
    await until(() => begun === 1);
    expect(pipeline.status().bytesInFlight).toBe(6_000);
    pipeline.reads.abandon(await (reads[0] as Promise<Window>));
    await until(() => begun === 2);
    stop.abort();
    await run;
  });

  it('I9: begins a read once one before it has read less than it might have, wherever the stream is', async () => {
    const pipeline = build(new ScriptedSource([]), new MemorySink(), { inFlightBytes: 10_000 });
    const stop = new AbortController();
    const run = pipeline.run(stop.signal, never);
    const large = await pipeline.reads.open(layout, 50_000, never);
    const next = pipeline.reads.open(layout, 6_000, never);
    const read = { rows: imagesOf([[99, 1]]), bytes: 3_000, high: `${SERVER}:1-9` };
    const closed = pipeline.reads.close(large, read).catch((error: unknown) => error);
    await next;
    expect(pipeline.status().bytesInFlight).toBe(9_000);
    stop.abort();
    await run;
    expect(await closed).toMatchObject({ code: 'DITTO_PIPELINE_STOPPED' });
  });

  it('stops with the error of a sink that can not take a read', async () => {
    const sink = new MemorySink();
    sink.onAccept = () => {
      throw new TypeError('no such value');
    };
    const pipeline = build(new ScriptedSource([]), sink);
    const run = pipeline.run(never, never);
    await pipeline.reads.close(await openWindow(pipeline, layout), { rows: imagesOf([[2, 2]]), high: '' });
    await expect(run).rejects.toMatchObject({ code: 'DITTO_INTERNAL', message: 'no such value' });
  });

  describe('a change that a sink refuses', () => {
    const refused = new DittoError(MEMORY_REFUSED, 'too large');
    const refusing = (): MemorySink => {
      const sink = new MemorySink('narrow');
      sink.answer = ({ after }) => (after?.[0] === 2 ? Promise.reject(refused) : Promise.resolve());
      return sink;
    };
    const script = [transaction(1, [row(1)]), transaction(2, [row(2)]), transaction(3, [row(3)])];

    it('I6: stops the pipeline before it', async () => {
      const pipeline = build(new ScriptedSource(script), refusing());
      await expect(pipeline.run(never, never)).rejects.toBe(refused);
      expect(pipeline.checkpoint().position.gtidSet).toBe(`${SERVER}:1`);
    });

    it('I1, I6: counts as confirmed when it is recorded, not before', async () => {
      const recording = new Deferred<undefined>();
      const records: unknown[] = [];
      class Recorded extends RefusedChanges {
        override async record(...of: Parameters<RefusedChanges['record']>): Promise<void> {
          records.push(of);
          await recording.promise;
        }
      }
      const stop = new AbortController();
      const pipeline = build(new ScriptedSource(script), refusing(), { refusedChanges: new Recorded() });
      const run = pipeline.run(stop.signal, never);
      await until(() => records.length > 0);
      await new Promise((resolve) => setImmediate(resolve));
      expect(pipeline.checkpoint().position.gtidSet).toBe(`${SERVER}:1`);
      recording.resolve(undefined);
      await until(() => pipeline.checkpoint().position.gtidSet === `${SERVER}:1-3`);
      expect(records).toEqual([
        ['narrow', expect.objectContaining({ table: { database: 'd', table: 't' }, key: '[2]' }), refused],
      ]);
      stop.abort();
      await run;
    });
  });

  describe('a change with a text that can not be decoded', () => {
    const invalid = new DittoError('DITTO_SOURCE_TEXT_INVALID', 'no character has these bytes');
    class Undecodable extends ValueImages {
      override row(index: number): Row {
        const values = super.row(index);
        if (values[1] === 666) throw invalid;
        return values;
      }

      override keyBound(): number {
        return 64;
      }

      override writeKey(index: number, target: Buffer, at: number): number {
        return at + target.write(`{"id":${index + 1}}`, at);
      }
    }
    const rows: SourceItem = {
      ...{ type: 'rows', op: 'create', layout, before: null, firstRowIndex: 5 },
      after: new Undecodable(layout, [
        [1, 1],
        [2, 666],
        [3, 666],
        [4, 1],
      ]),
    };
    const script = [transaction(1, [rows]), transaction(2, [row(9)])];

    it('I1, I6: is recorded for each sink before the stream goes on; the others are delivered', async () => {
      const recording = new Deferred<undefined>();
      const records: unknown[][] = [];
      class Recorded extends RefusedChanges {
        override async record(...of: Parameters<RefusedChanges['record']>): Promise<void> {
          records.push(of);
          await recording.promise;
        }
      }
      const stop = new AbortController();
      const sinks = [new MemorySink('a'), new MemorySink('b')] as const;
      const options = { sinks, refusedChanges: new Recorded() };
      const pipeline = build(new ScriptedSource(script), sinks[0], options);
      const run = pipeline.run(stop.signal, never);
      await until(() => records.length > 0);
      await new Promise((resolve) => setImmediate(resolve));
      expect(pipeline.checkpoint().position.gtidSet).toBe('');
      expect(sinks[0].accepted.map(({ after }) => after?.[0])).toEqual([1, 4]);
      // I8: what is in flight of the row may be held back from now on
      const lackingSince = pipeline.checkpoint().version;
      expect(records).toEqual([['a', expect.objectContaining({ lackingSince }), invalid]]);
      recording.resolve(undefined);
      await until(() => pipeline.checkpoint().position.gtidSet === `${SERVER}:1-2`);
      const place = { table: { database: 'd', table: 't' }, gtid: `${SERVER}:1`, payload: null };
      expect(records).toEqual(
        ['a', 'b'].flatMap((sink) => [
          [sink, expect.objectContaining({ ...place, key: '[2]', id: `${SERVER}:1/6` }), invalid],
          [sink, expect.objectContaining({ ...place, key: '[3]', id: `${SERVER}:1/7` }), invalid],
        ]),
      );
      for (const sink of sinks) expect(sink.rows(layout).map(([id]) => id)).toEqual([1, 4, 9]);
      stop.abort();
      await run;
    });

    it('I6: stops the pipeline before it where nothing is recorded', async () => {
      const pipeline = build(new ScriptedSource(script), new MemorySink());
      await expect(pipeline.run(never, never)).rejects.toBe(invalid);
      expect(pipeline.checkpoint().position.gtidSet).toBe('');
    });
  });

  it('I4: ends the rows of a dropped table in every sink although its layout is not known any more', async () => {
    const sink = new MemorySink();
    const stop = new AbortController();
    const pipeline = build(new ScriptedSource([transaction(1, [statement('DROP TABLE `gone`')])]), sink);
    const run = pipeline.run(stop.signal, never);
    await until(() => sink.ended.length > 0);
    expect(sink.ended).toMatchObject([{ op: 'drop', layout: { database: 'd', table: 'gone', key: [0] } }]);
    stop.abort();
    await run;
  });

  it('I4: sinks do not learn the layout of a read before the stream has come to it', async () => {
    const sink = new MemorySink();
    const stop = new AbortController();
    const gate = new Deferred<undefined>();
    const later = { ...layout, columns: layout.columns.slice(0, 1), fingerprint: 'later' };
    const altered = transaction(2, [statement('ALTER TABLE t DROP COLUMN value')]);
    const source = new ScriptedSource([transaction(1, [row(1)]), altered, transaction(3, [])]);
    source.before.set(1, gate.promise);
    const pipeline = build(source, sink);
    const run = pipeline.run(stop.signal, never);
    await until(() => sink.accepted.length === 1);
    const read = { rows: imagesOf([[2]], later), lastKey: [2], complete: true, high: `${SERVER}:1-2` };
    const closed = pipeline.reads.close(await openWindow(pipeline, later), read);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(sink.prepared).toEqual([layout]);
    gate.resolve(undefined);
    // opened before the statement: what was read may be of before it
    expect(await closed).toBeNull();
    const again = await pipeline.reads.close(await openWindow(pipeline, later), { ...read, high: `${SERVER}:1-3` });
    expect(again?.emittedRows).toBe(1);
    stop.abort();
    await run;
  });

  it('stops when a table loses its key in the log, not when the catalogue has one that the log is not at yet', async () => {
    const sink = new MemorySink();
    const keyless = { ...layout, key: [], fingerprint: 'keyless' };
    const source = new ScriptedSource([
      transaction(1, [row(1, keyless)]),
      transaction(2, [row(2)]),
      transaction(3, [statement('ALTER TABLE t DROP PRIMARY KEY')]),
      transaction(4, [row(3, keyless)]),
    ]);
    await expect(build(source, sink).run(never, never)).rejects.toMatchObject({ code: 'DITTO_PIPELINE_KEY_LOST' });
    expect(sink.accepted.map(({ after }) => after?.[0])).toEqual([1, 2]);
  });

  it('counts as repeated what is known to have been dispatched, not what was written while nobody read', async () => {
    const stop = new AbortController();
    const source = new ScriptedSource([1, 2, 3].map((number) => transaction(number, [row(number)])));
    const pipeline = build(source, new MemorySink(), {
      start: { ...start(), dispatchedSet: `${SERVER}:1` },
      endOfLog: { gtidSet: `${SERVER}:1-2`, file: 'binlog.000002', offset: 299, serverUuid: SERVER },
    });
    const run = pipeline.run(stop.signal, never);
    await until(() => pipeline.status().changes === 3);
    expect(pipeline.status()).toMatchObject({ repeatedChanges: 1, replayingUntil: null });
    stop.abort();
    await run;
  });

  describe('I6: whatever the stream waits for is named once it takes longer than the limit', () => {
    /** Runs a pipeline until something is overdue; gives what that is, and what was logged. */
    async function overdueOf(
      sink: MemorySink,
      options: Partial<PipelineOptions> = {},
      work: (pipeline: Pipeline) => unknown = () => undefined,
    ): Promise<{ what: string; warnings: unknown[] }> {
      const warnings: unknown[] = [];
      const logger = { ...silentLogger, warn: (_: string, fields?: object) => void warnings.push(fields) };
      const waits = new Waits({ limitMs: 5, logger, nowMs: Date.now });
      const stop = new AbortController();
      const giveUp = new AbortController();
      const source = new ScriptedSource([transaction(1, [row(1)]), transaction(2, [row(2)])]);
      const pipeline = build(source, sink, { logger, waits, ...options });
      const run = pipeline.run(stop.signal, giveUp.signal).catch(() => undefined);
      await until(() => pipeline.status().phase === 'streaming');
      const working = Promise.resolve(work(pipeline)).catch(() => undefined);
      await until(() => waits.overdue.length > 0);
      const what = waits.overdue.map((wait) => wait.what).join('; ');
      await new Promise((resolve) => setTimeout(resolve, 20));
      stop.abort();
      giveUp.abort(new Error('given up'));
      await run;
      await working;
      expect(waits.overdue).toEqual([]);
      return { what, warnings };
    }

    it('a transaction that a read saw and the log does not give', async () => {
      const { what } = await overdueOf(new MemorySink(), {}, async (pipeline) =>
        pipeline.reads.close(await openWindow(pipeline, layout), {
          rows: imagesOf([[7, 7]]),
          high: `${SERVER}:1-2,${OTHER_SERVER}:9`,
        }),
      );
      expect(what).toContain(`${OTHER_SERVER}:9`);
      expect(what).not.toContain(`${SERVER}:`);
    });

    it('a sink that is not ready for a table, with its error, which is logged once', async () => {
      const sink = new MemorySink();
      sink.answerTable = () => Promise.reject(down);
      const { what, warnings } = await overdueOf(sink);
      expect(what).toContain('DITTO_TEST_DOWN');
      expect(warnings.filter((fields) => (fields as { code?: string }).code === 'DITTO_TEST_DOWN')).toHaveLength(1);
    });

    it('room in a sink that does not confirm', async () => {
      const sink = new MemorySink();
      Object.defineProperty(sink, 'bytesInFlight', { get: () => 2_000_000 });
      const { what } = await overdueOf(sink);
      expect(what).toContain('2000000 bytes are in flight');
    });

    it('a sink that does not confirm rows that were read; not any more when the pipeline has stopped', async () => {
      const sink = new MemorySink();
      sink.answer = ({ op }) => (op === 'read' ? new Promise(() => undefined) : Promise.resolve());
      const { what } = await overdueOf(sink, {}, async (pipeline) =>
        pipeline.reads.close(await openWindow(pipeline, layout), { rows: imagesOf([[7, 7]]), high: '' }),
      );
      expect(what).toBe('the sinks to confirm rows that were read of d.t');
    });

    it('a server of the source that does not come back', async () => {
      const source = new ScriptedSource(...Array.from({ length: 1000 }, () => [down]));
      const { what, warnings } = await overdueOf(new MemorySink(), { changeSource: source });
      expect(what).toBe('the server of the source: DITTO_TEST_DOWN: down');
      expect(warnings.filter((fields) => (fields as { code?: string }).code === 'DITTO_TEST_DOWN')).toHaveLength(1);
    });
  });
});
