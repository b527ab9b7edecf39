import { describe, expect, it } from '@jest/globals';
import {
  changeVersion,
  type Checkpoint,
  startVersion,
  type StoredCheckpoint,
  type TableChange,
  type TableLayout,
  versionPrefix,
} from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import {
  assumeLayout,
  CheckpointStore,
  LineageStore,
  type PendingResync,
  ResyncStore,
  type CopyState,
  newRecord,
  restartCopy,
  type TableRecord,
  TableStore,
} from '#replication';
import { startFrom } from './find-start.ts';

const A = '11111111-1111-1111-1111-111111111111';
const grant = { source: 's', owner: 'o', token: 1 };
const tables = [assumeLayout('shop', 'orders'), assumeLayout('shop', 'lines')];
const gone = new DittoError('DITTO_SOURCE_PURGED', 'purged');

/** Thrown where the process is killed: nothing after it is done. */
class Killed extends Error {}

interface Doc {
  readonly version: string;
  readonly live: boolean;
}

/** What outlives the process: stores, a mirror, a topic. Each write is a step at which the process can be killed. */
const ignore = (): Promise<void> => Promise.resolve();

const DONE = { state: 'done', rowsRead: 0 } as const;

class World {
  lineage = 3;
  mirrorLineage = 3;
  dcs: Checkpoint | null = checkpointAt(7);
  state: Checkpoint | null = checkpointAt(7);
  pending: string | null = 'alice';
  /** Transactions that the server has executed. */
  executed = 20;
  readonly records = new Map<string, TableRecord>();
  /** `orders/2` was deleted on the source while the stream did not run. */
  readonly rows = new Set(['orders/1', 'orders/3', 'lines/1']);
  readonly mirror = new Map<string, Doc>();
  readonly topic: { readonly key: string; readonly op: 't' | 'r'; readonly id: string; readonly version: string }[] =
    [];
  steps = 0;
  killAt = Infinity;
  killAfterWriting = false;
  readonly acceptances = { acceptedBy: () => Promise.resolve(null), accept: ignore, finish: ignore };

  constructor() {
    for (const table of ['orders', 'lines', 'dropped']) this.records.set(table, recordOf(table, DONE));
    for (const key of ['orders/1', 'orders/2', 'lines/1', 'dropped/1', 'unnoticed/1'])
      this.mirror.set(key, { version: oldVersion(5), live: true });
    this.mirror.set('orders/1', { version: oldVersion(7), live: true });
  }

  async write(apply: () => void): Promise<void> {
    await Promise.resolve();
    const dies = ++this.steps === this.killAt;
    if (dies && !this.killAfterWriting) throw new Killed();
    apply();
    if (dies) throw new Killed();
  }

  async endTables(changes: readonly TableChange[]): Promise<void> {
    for (const change of changes) {
      const { table } = change.layout;
      const version = changeVersion(change);
      await this.write(() => this.topic.push({ key: table, op: 't', id: change.id ?? '', version }));
      await this.write(() => {
        for (const [key, doc] of this.mirror)
          if (key.startsWith(`${table}/`) && doc.version < version) this.mirror.set(key, { version, live: false });
      });
    }
  }

  /** What a process does once it knows where to start: reads what is not done, and moves on. */
  run(start: Checkpoint): void {
    for (const [table, record] of this.records) {
      if (record.copy.state !== 'pending') continue;
      for (const key of this.rows) {
        if (!key.startsWith(`${table}/`)) continue;
        const version = `${versionPrefix(start.lineage, '', 0)}ffffffff00000001`;
        this.topic.push({ key, op: 'r', id: key, version });
        if ((this.mirror.get(key)?.version ?? '') < version) this.mirror.set(key, { version, live: true });
      }
      this.records.set(table, { ...record, copy: DONE });
    }
  }

  live(): string[] {
    return [...this.mirror].flatMap(([key, { live }]) => (live ? [key] : [])).sort();
  }

  start(changed: Partial<Parameters<typeof startFrom>[0]> = {}): Promise<Checkpoint> {
    return startFrom({
      grant,
      current: { gtidSet: `${A}:1-${this.executed}`, file: '', offset: 0, serverUuid: A },
      dcs: new Checkpoints(this, 'dcs'),
      state: new Checkpoints(this, 'state'),
      lineages: new Lineages(this),
      mirror: {
        read: () => Promise.resolve(this.mirrorLineage),
        raise: (to) => this.write(() => (this.mirrorLineage = to)),
      },
      resyncs: new Resyncs(this),
      tableStore: new Records(this),
      tables,
      memories: [],
      signal: new AbortController().signal,
      findLast: () => Promise.resolve(null),
      prove: () => Promise.reject(gone),
      acceptances: this.acceptances,
      loss: null,
      trail: { list: () => Promise.reject(gone) },
      reads: { accept: () => Promise.reject(gone) },
      mirrored: null,
      tombstonesMs: 0,
      listUnmirrored: () => Promise.reject(gone),
      onHealed: () => undefined,
      rewinds: { pendingFor: () => Promise.resolve(null), request: ignore, giveUp: ignore, finish: ignore },
      purged: '',
      findLost: () => Promise.reject(gone),
      findPlace: () => Promise.reject(gone),
      listMirrored: () => Promise.resolve([{ database: 'shop', table: 'unnoticed' }]),
      includes: () => true,
      copiesRows: true,
      endTables: (changes) => this.endTables(changes),
      assertReachable: () => {
        throw gone;
      },
      logger: silentLogger,
      ...changed,
    });
  }
}

class Checkpoints extends CheckpointStore {
  readonly world: World;
  readonly which: 'dcs' | 'state';

  constructor(world: World, which: 'dcs' | 'state') {
    super();
    this.world = world;
    this.which = which;
  }

  load(): Promise<StoredCheckpoint | null> {
    const checkpoint = this.world[this.which];
    return Promise.resolve(checkpoint && { token: 1, checkpoint });
  }

  save(_grant: unknown, checkpoint: Checkpoint): Promise<void> {
    return this.world.write(() => (this.world[this.which] = checkpoint));
  }
}

class Lineages extends LineageStore {
  readonly world: World;

  constructor(world: World) {
    super();
    this.world = world;
  }

  current(): Promise<number> {
    return Promise.resolve(this.world.lineage);
  }

  raise(_grant: unknown, to: number): Promise<void> {
    expect(to).toBeGreaterThan(this.world.lineage);
    return this.world.write(() => (this.world.lineage = to));
  }
}

class Records extends TableStore {
  readonly world: World;

  constructor(world: World) {
    super();
    this.world = world;
  }

  load(): Promise<readonly TableRecord[]> {
    return Promise.resolve([...this.world.records.values()]);
  }

  save(): Promise<void> {
    return Promise.reject(new Error('nothing is copied yet'));
  }

  reserveReads(): Promise<void> {
    return Promise.resolve();
  }

  reservedReads(): Promise<number> {
    return Promise.resolve(0);
  }
}

class Resyncs extends ResyncStore {
  readonly world: World;

  constructor(world: World) {
    super();
    this.world = world;
  }

  pendingFor(): Promise<PendingResync | null> {
    const askedBy = this.world.pending;
    return Promise.resolve(askedBy === null ? null : { askedBy });
  }

  request(_grant: unknown, askedBy: string): Promise<void> {
    return this.world.write(() => (this.world.pending = askedBy));
  }

  withdraw(): Promise<void> {
    return Promise.reject(new Error('an operator has asked for it'));
  }

  startOver(_grant: unknown, over: readonly { readonly table: string }[]): Promise<void> {
    return this.world.write(() => {
      for (const { table } of over) this.world.records.set(table, restartCopy(newRecord({ database: 'shop', table })));
    });
  }

  finish(): Promise<void> {
    return this.world.write(() => (this.world.pending = null));
  }
}

function recordOf(table: string, copy: CopyState): TableRecord {
  return { ...newRecord({ database: 'shop', table }), copy };
}

function oldVersion(transaction: number): string {
  return `${versionPrefix(3, 'binlog.000004', transaction * 100)}0000000000000000`;
}

function checkpointAt(last: number): Checkpoint {
  const gtidSet = `${A}:1-${last}`;
  const position = { gtidSet, file: 'binlog.000004', offset: last * 100, serverUuid: A };
  const version = `${versionPrefix(3, 'binlog.000004', last * 100)}ffffffffffffffff`;
  return {
    source: 's',
    lineage: 3,
    position,
    dispatchedSet: gtidSet,
    undecidedSet: '',
    version,
    commitMicros: 1,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: 1,
  };
}

/** A start that lives to its end makes this many writes. */
async function countSteps(): Promise<number> {
  const world = new World();
  await world.start();
  return world.steps;
}

function expectWhole(world: World, start: Checkpoint): void {
  const gtidSet = `${A}:1-${world.executed}`;
  expect(start).toMatchObject({ dispatchedSet: gtidSet, position: { gtidSet, file: '', offset: 0 } });
  expect(start.version).toBe(startVersion(start.lineage, '', 0));
  expect([world.dcs, world.state]).toEqual([start, start]);
  expect([world.lineage, world.mirrorLineage, world.pending]).toEqual([start.lineage, start.lineage, null]);
  expect(world.live()).toEqual([]);
  world.run(start);
  expect(world.live()).toEqual([...world.rows].sort());
  for (const { key, version } of world.topic.filter(({ op }) => op === 'r')) {
    const [table = ''] = key.split('/');
    const end = world.topic.findLast(({ op, key: ended }) => op === 't' && ended === table);
    expect(end && end.version < version).toBe(true);
    expect(world.topic.findIndex((message) => message === end)).toBeLessThan(
      world.topic.findIndex((message) => message.version === version),
    );
  }
}

describe('resync', () => {
  it('starts again after what the server has, though it can not continue in its log; ended rows stay ended', async () => {
    const world = new World();
    const start = await world.start();
    expect(start.lineage).toBe(4);
    expectWhole(world, start);
    expect(world.topic.filter(({ op }) => op === 't').map(({ key, id }) => [key, id])).toEqual([
      ['orders', 's/4/resync'],
      ['lines', 's/4/resync'],
      ['dropped', 's/4/resync'],
      ['unnoticed', 's/4/resync'],
    ]);
  });

  it('happens only when it was asked for', async () => {
    const world = new World();
    world.pending = null;
    await expect(world.start()).rejects.toBe(gone);
    expect([world.steps, world.lineage]).toEqual([0, 3]);
  });

  it('I1, I4: killed at any step, before or after it was written, the next start resyncs again and nothing is lost', async () => {
    const steps = await countSteps();
    expect(steps).toBeGreaterThan(10);
    for (let killAt = 1; killAt <= steps; killAt++)
      for (const killAfterWriting of [false, true]) {
        const world = new World();
        Object.assign(world, { killAt, killAfterWriting });
        await expect(world.start()).rejects.toBeInstanceOf(Killed);
        const finished = killAt === steps && killAfterWriting;
        expect([killAt, world.pending]).toEqual([killAt, finished ? null : 'alice']);
        world.executed++;
        if (!finished) expectWhole(world, await world.start());
      }
  });

  it('I1, I4: killed again and again it still comes to its end, under a lineage that was never used', async () => {
    const steps = await countSteps();
    const world = new World();
    for (let step = steps - 1; step > 0; step -= 2) {
      world.steps = 0;
      world.killAt = step;
      await expect(world.start()).rejects.toBeInstanceOf(Killed);
    }
    world.killAt = Infinity;
    expectWhole(world, await world.start());
    const ids = world.topic.filter(({ op, key }) => op === 't' && key === 'orders').map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('I4: a mark that is gone means that all of it was done: the source continues as before', async () => {
    const world = new World();
    const start = await world.start();
    expect(await world.start({ assertReachable: () => undefined, prove: () => Promise.resolve([]) })).toEqual(start);
    expect(world.lineage).toBe(start.lineage);
  });

  it('reads a table that has got a key, leaves one without as it is, and ends one that lost its key as it was', async () => {
    const keyless = (table: string): TableLayout => ({ ...assumeLayout('shop', table), key: [], fingerprint: 'none' });
    const world = new World();
    const unavailable = { state: 'unavailable', reason: 'it has no key' } as const;
    for (const [table, copy] of [
      ['got', unavailable],
      ['never', unavailable],
      ['lost', DONE],
    ] as const)
      world.records.set(table, recordOf(table, copy));
    const ended: TableChange[] = [];
    await world.start({
      tables: [...tables, assumeLayout('shop', 'got'), keyless('never'), keyless('lost')],
      endTables: (changes) => {
        ended.push(...changes);
        return Promise.resolve();
      },
    });
    const states = Object.fromEntries([...world.records].map(([table, { copy }]) => [table, copy.state]));
    expect(states).toMatchObject({ got: 'pending', never: 'unavailable', lost: 'pending' });
    const keys = Object.fromEntries(ended.map(({ layout }) => [layout.table, layout.key.length]));
    expect(keys).toEqual({ orders: 1, lines: 1, dropped: 1, unnoticed: 1, got: 1, never: 0, lost: 1 });
  });

  it('leaves tables alone that are not included any more', async () => {
    const world = new World();
    await world.start({ includes: (_database, table) => table !== 'dropped' });
    expect(world.live()).toEqual(['dropped/1']);
  });

  it('is refused, and nothing is touched, where rows would not be read again', async () => {
    const world = new World();
    await expect(world.start({ copiesRows: false })).rejects.toMatchObject({ code: 'DITTO_SOURCE_SNAPSHOTS_OFF' });
    expect([world.steps, world.pending]).toEqual([0, 'alice']);
  });

  it('I4: leads out of lost checkpoints, under a lineage above all that a sink remembers', async () => {
    for (const lost of ['all', 'state'] as const) {
      const world = new World();
      Object.assign(world, { state: null, lineage: 0, mirrorLineage: 0 });
      if (lost === 'all') world.dcs = null;
      const start = await world.start({
        memories: [{ newestLineage: () => Promise.resolve(7), gtidsAbove: () => Promise.resolve([]) }],
      });
      expect(start.lineage).toBe(8);
      expectWhole(world, start);
    }
  });

  it('I3: the lineage is above the lineages of both copies of the checkpoint', async () => {
    for (const newer of ['dcs', 'state'] as const) {
      const world = new World();
      const checkpoint = { ...checkpointAt(7), lineage: 6 };
      world[newer] = checkpoint;
      expect((await world.start()).lineage).toBe(7);
    }
  });

  it('I7: leads from a server of one kind to one of the other, and remembers the last transaction of its log', async () => {
    const last = { gtid: '0-1-9', serverUuid: 'm', file: 'm.000001', offset: 9, commitMicros: 9, digest: 'd' };
    const world = new World();
    world.dcs = { ...checkpointAt(7), dispatchedSet: '0-1-5' };
    const start = await world.start({ findLast: () => Promise.resolve(last) });
    expect([start.lastCovered, start.lastDispatched]).toEqual([
      { ...last, lineage: 4 },
      { ...last, lineage: 4 },
    ]);
  });
});
