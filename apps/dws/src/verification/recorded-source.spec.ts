import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  type Checkpoint,
  formatVersion,
  startVersion,
  type TableLayout,
  transactionEndVersion,
  versionPrefix,
} from '#change-events';
import { DittoError } from '#kernel';
import { type LogEnd } from '#mysql';
import { adopt, assumeLayout, newRecord, planCopy, type TableRecord } from '#replication';
import { RecordedSource, type RecordedSourceOptions } from './recorded-source.ts';

const SERVER = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const OTHER = '81d7f2b1-0000-11e1-9e33-c80aa9429562';
const never = new AbortController().signal;
const orders = { database: 'shop', table: 'orders' };

interface World {
  dcs: Checkpoint | Error | null;
  state: Checkpoint | null;
  lineage: number;
  end: LogEnd | null;
  record: TableRecord | null;
  /** As the source has the table now. */
  layout: TableLayout | null;
}

function checkpointAt(offset: number, lineage = 3): Checkpoint {
  const file = 'binlog.000007';
  return {
    source: 's',
    lineage,
    position: { gtidSet: `${SERVER}:1-${offset}`, file, offset: offset + 10, serverUuid: SERVER },
    dispatchedSet: `${SERVER}:1-${offset}`,
    undecidedSet: `${SERVER}:${offset + 5}`,
    version: transactionEndVersion(versionPrefix(lineage, file, offset)),
    commitMicros: 1,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: 1,
  };
}

function openWorld(
  parts: Partial<World>,
  server: Pick<RecordedSourceOptions, 'serverUuid' | 'onMoved'> = {},
): { readonly world: World; readonly stream: RecordedSource } {
  const end = { serverUuid: SERVER, file: 'binlog.000007', offset: 5000 };
  const world: World = { dcs: null, state: null, lineage: 3, end, record: null, layout: null, ...parts };
  const stored = (checkpoint: Checkpoint | null) => checkpoint && { token: 1, checkpoint };
  const stream = new RecordedSource({
    source: 's',
    dcs: {
      load: () => (world.dcs instanceof Error ? Promise.reject(world.dcs) : Promise.resolve(stored(world.dcs))),
    },
    state: { load: () => Promise.resolve(stored(world.state)) },
    lineages: { current: () => Promise.resolve(world.lineage) },
    catalogue: { readLayout: () => Promise.resolve(world.layout) },
    // a record that is read is made anew each time
    tables: { find: (_, table) => Promise.resolve(world.record && { ...structuredClone(world.record), ...table }) },
    log: { read: () => Promise.resolve(world.end) },
    ...server,
  });
  return { world, stream };
}

function open(parts: Partial<World>): RecordedSource {
  return openWorld(parts).stream;
}

function recordOf(copy: TableRecord['copy'], hasLayout = true): TableRecord {
  const layout = hasLayout ? assumeLayout(orders.database, orders.table) : null;
  return adopt(planCopy(newRecord(orders), 0, copy), { key: 'k', since: '', layout });
}

describe('the checkpoint', () => {
  it('is the one that DCS knows, with the XA transactions that are undecided there', async () => {
    const stream = open({ dcs: checkpointAt(9), state: checkpointAt(5) });
    const { position, version, undecidedSet } = checkpointAt(9);
    expect(await stream.readCheckpoint(never)).toEqual({ gtidSet: position.gtidSet, version, undecidedSet });
  });

  it('is the state database’s while DCS does not answer, and only then', async () => {
    const down = new DittoError('DITTO_DCS_UNAVAILABLE', 'down', { retriable: true });
    const stream = open({ dcs: down, state: checkpointAt(5) });
    expect((await stream.readCheckpoint(never)).version).toBe(checkpointAt(5).version);
    const refused = new DittoError('DITTO_AUTH_REFUSED', 'no');
    await expect(open({ dcs: refused, state: checkpointAt(5) }).readCheckpoint(never)).rejects.toBe(refused);
  });

  it('I8: is an error on the server from which the source has moved: what that one has says nothing', async () => {
    let moved = 0;
    const { stream, world } = openWorld({ dcs: checkpointAt(9) }, { serverUuid: SERVER, onMoved: () => moved++ });
    await stream.readCheckpoint(never);
    expect(moved).toBe(0);
    const checkpoint = checkpointAt(20, 4);
    world.dcs = { ...checkpoint, position: { ...checkpoint.position, serverUuid: OTHER } };
    await expect(stream.readCheckpoint(never)).rejects.toMatchObject({
      code: 'DITTO_VERIFICATION_SERVER_MOVED',
      retriable: true,
    });
    expect(moved).toBe(1);
  });

  it('I8: a source without one is an error: nothing says what may be judged', async () => {
    await expect(open({}).readCheckpoint(never)).rejects.toMatchObject({ code: 'DITTO_OFFSET_UNKNOWN' });
  });
});

describe('a table', () => {
  it('is unknown where it has no record', async () => {
    expect(await open({}).readTable(orders, never)).toBeNull();
  });

  it.each<[TableRecord['copy'], 'yes' | 'no' | 'never']>([
    [{ state: 'done', rowsRead: 1 }, 'yes'],
    [{ state: 'pending', endsGone: false }, 'no'],
    [{ state: 'none' }, 'never'],
  ])('with the copy %p is copied: %s', async (copy, copied) => {
    const record = recordOf(copy);
    const { generation, adopted } = record;
    expect(await open({ record }).readTable(orders, never)).toEqual({ generation, copied, layout: adopted?.layout });
  });

  it('that no sink was given a row of is judged by the layout that it has now, until DSS adopts one', async () => {
    const layout = assumeLayout(orders.database, orders.table);
    const record = planCopy(newRecord(orders), 0, { state: 'done', rowsRead: 0 });
    const { world, stream } = openWorld({ record, layout });
    const found = await stream.readTable(orders, never);
    expect(found).toEqual({ generation: record.generation, copied: 'yes', layout });
    world.record = adopt(record, { key: 'k', since: '', layout });
    expect((await stream.readTable(orders, never))?.generation).toBeGreaterThan(record.generation);
    expect(await open({ record, layout: null }).readTable(orders, never)).toBeNull();
  });

  it('I8: is not judged by a layout that nobody recorded', async () => {
    const layout = assumeLayout(orders.database, orders.table);
    const old = recordOf({ state: 'done', rowsRead: 1 }, false);
    expect(await open({ record: old, layout }).readTable(orders, never)).toBeNull();
    const record = recordOf({ state: 'none' }, false);
    expect(await open({ record }).readTable(orders, never)).toMatchObject({ copied: 'never', layout: orders });
  });
});

describe('the layout of a table', () => {
  function recordWith(fingerprint: string): TableRecord {
    const layout = { ...assumeLayout(orders.database, orders.table), fingerprint };
    return adopt(planCopy(newRecord(orders), 0, { state: 'done', rowsRead: 1 }), { key: 'k', since: '', layout });
  }

  async function layoutOf(stream: RecordedSource, table = orders): Promise<object | undefined> {
    return (await stream.readTable(table, never))?.layout;
  }

  it('is one object as long as it is the same layout, so that what is compiled for it is found again', async () => {
    const { world, stream } = openWorld({ record: recordWith('a') });
    const first = await layoutOf(stream);
    expect(await layoutOf(stream)).toBe(first);
    world.record = recordWith('b');
    expect(await layoutOf(stream)).toMatchObject({ fingerprint: 'b' });
  });

  it('is kept for the 200 tables that were asked for last', async () => {
    const stream = open({ record: recordWith('a') });
    const first = await layoutOf(stream);
    const others = Array.from({ length: 199 }, (_, i) => ({ database: 'shop', table: `t${i}` }));
    for (const table of others) await layoutOf(stream, table);
    expect(await layoutOf(stream)).toBe(first);
    for (const table of others) await layoutOf(stream, table);
    expect(await layoutOf(stream)).toBe(first);
    await layoutOf(stream, { database: 'shop', table: 'one too many' });
    for (const table of others) await layoutOf(stream, table);
    expect(await layoutOf(stream)).not.toBe(first);
  });
});

describe('the highest version', () => {
  const highestOf = (lineage: number): string => `${lineage.toString(16).padStart(8, '0')}${'f'.repeat(36)}`;
  const parts = { rowIndex: 0xffffffff, readSequence: 0xffffffff };

  it('is the end of the log that is streamed, whatever row and read', async () => {
    const atEnd = formatVersion({ lineage: 3, fileNumber: 7, offset: 5000, ...parts });
    expect(await open({ dcs: checkpointAt(9) }).readHighestVersion(never)).toBe(atEnd);
    const first = { ...checkpointAt(9), version: startVersion(3, '', 0) };
    expect(await open({ dcs: first }).readHighestVersion(never)).toBe(atEnd);
    expect(await open({ dcs: { ...first, version: '' } }).readHighestVersion(never)).toBe(atEnd);
  });

  const lastDispatched = {
    ...{ gtid: `${SERVER}:9`, serverUuid: SERVER, file: 'binlog.000007', commitMicros: 1, digest: '' },
  };
  it.each<[string, Partial<World>, number]>([
    ['the lineage was raised since the checkpoint', { lineage: 4 }, 4],
    ['the log is shorter than the checkpoint', { dcs: checkpointAt(5000) }, 3],
    ['another server answers', { end: { serverUuid: OTHER, file: 'binlog.000007', offset: 5000 } }, 3],
    ['the log was reset', { end: { serverUuid: SERVER, file: 'binlog.000001', offset: 5000 } }, 3],
    ['nobody says where the log ends', { end: null }, 3],
    [
      'what was given to a sink lies after the end',
      { dcs: { ...checkpointAt(9), lastDispatched: { ...lastDispatched, lineage: 3, offset: 5000 } } },
      3,
    ],
  ])('I8: bounds nothing of the newest lineage where %s', async (_, world, lineage) => {
    expect(await open({ dcs: checkpointAt(9), ...world }).readHighestVersion(never)).toBe(highestOf(lineage));
  });

  it('is of the lineage of the checkpoint where the state database knows only an older one', async () => {
    expect((await open({ dcs: checkpointAt(9), lineage: 2 }).readHighestVersion(never)).slice(0, 16)).toBe(
      '0000000300000007',
    );
  });

  it('a place of a lineage before says nothing about this log', async () => {
    const dcs = { ...checkpointAt(9), lastDispatched: { ...lastDispatched, lineage: 2, offset: 9999 } };
    expect((await open({ dcs }).readHighestVersion(never)).slice(0, 16)).toBe('0000000300000007');
  });

  it('I8: no version that a sink can have by then is above it', async () => {
    const place = fc.record({ fileNumber: fc.integer({ min: 1, max: 12 }), offset: fc.integer({ min: 4, max: 9000 }) });
    await fc.assert(
      fc.asyncProperty(
        place,
        place,
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        async (given, log, lineage, moved) => {
          // a document of this log lies before its end; one of a lineage that was raised meanwhile anywhere in another log
          const isInLog =
            given.fileNumber < log.fileNumber || (given.fileNumber === log.fileNumber && given.offset < log.offset);
          fc.pre(moved || isInLog);
          const end = { serverUuid: moved ? OTHER : SERVER, file: `binlog.${log.fileNumber}`, offset: log.offset };
          const covered = { ...checkpointAt(9, lineage), version: startVersion(lineage, '', 0) };
          const highest = await open({ dcs: covered, lineage, end }).readHighestVersion(never);
          expect(formatVersion({ lineage, ...given, ...parts }) <= highest).toBe(true);
        },
      ),
    );
  });
});
