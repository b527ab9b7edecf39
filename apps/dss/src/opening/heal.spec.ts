import { describe, expect, it } from '@jest/globals';
import {
  type Checkpoint,
  describeKey,
  formatVersion,
  type LoggedTransaction,
  tableKey,
  type TableChange,
  type TableLayout,
  transactionEndVersion,
  versionPrefix,
} from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import {
  assumeLayout,
  type CopyState,
  type NewRead,
  newRecord,
  type PendingResync,
  type PendingSwitch,
  type TableRecord,
} from '#replication';
import { type StartOptions, startFrom } from './find-start.ts';
import { heal, type Healing, type HealOptions } from './heal.ts';

const A = '11111111-1111-1111-1111-111111111111';
const B = '22222222-2222-2222-2222-222222222222';
const grant = { source: 's', owner: 'o', token: 1 };
const NOW = Date.now();
const DONE = { state: 'done', rowsRead: 5 } as const;
const loss: PendingSwitch = { to: 'b:3306', askedBy: 'alice', givesUp: `${A}:8-10` };

/** Thrown where the process is killed: nothing after it is done. */
class Killed extends Error {}

function versionOf(number: number): string {
  return transactionEndVersion(versionPrefix(3, 'binlog.000004', number * 100));
}

function logged(number: number): LoggedTransaction {
  const place = { serverUuid: A, lineage: 3, file: 'binlog.000004', offset: number * 100, commitMicros: 9, digest: '' };
  return { gtid: `${A}:${number}`, ...place };
}

function checkpointAt(last: number, dispatched: number): Checkpoint {
  return {
    source: 's',
    lineage: 3,
    position: { gtidSet: `${A}:1-${last}`, file: 'binlog.000004', offset: last * 100, serverUuid: A },
    dispatchedSet: `${A}:1-${dispatched}`,
    undecidedSet: '',
    version: versionOf(last),
    commitMicros: 1,
    lastCovered: logged(last),
    lastDispatched: logged(dispatched),
    savedAtMs: NOW,
  };
}

/** Of the checkpoint at this transaction. */
function pastAt(number: number, ageMs = 1000) {
  const kept = { lineage: 3, version: versionOf(number), gtidSet: `${A}:1-${number}`, lastCovered: logged(number) };
  return { ...kept, savedAtMs: NOW - ageMs };
}

function layoutOf(table: string): TableLayout {
  return assumeLayout('shop', table);
}

function recordOf(table: string, copy: CopyState = DONE, adopted: Partial<TableLayout> = {}): TableRecord {
  const layout = { ...layoutOf(table), ...adopted };
  return { ...newRecord({ database: 'shop', table }), copy, adopted: { key: describeKey(layout), since: '', layout } };
}

const name = (table: string): string => tableKey({ database: 'shop', table });

/** What outlives the process. Each write is a step at which the process can be killed. */
class World {
  lineage = 3;
  mirrorLineage = 3;
  dcs = checkpointAt(9, 10);
  state = checkpointAt(9, 10);
  resync: PendingResync | null = null;
  /** Whether a resync has come to its end. */
  isResynced = false;
  acceptedBy: string | null = null;
  readonly records = new Map([recordOf('orders'), recordOf('lines')].map((one) => [tableKey(one), one]));
  readonly newest: Record<string, number> = { orders: 9, lines: 5 };
  readonly reads: NewRead[] = [];
  readonly ended: string[] = [];
  readonly proven: string[] = [];
  steps = 0;
  killAt = Infinity;
  killAfterWriting = false;
  healing: Healing | null = null;
  lostUuid: string | null = null;

  async write(apply: () => unknown): Promise<void> {
    await Promise.resolve();
    const dies = ++this.steps === this.killAt;
    if (dies && !this.killAfterWriting) throw new Killed();
    apply();
    if (dies) throw new Killed();
  }

  #checkpoints(which: 'dcs' | 'state') {
    return {
      load: () => Promise.resolve({ token: 1, checkpoint: this[which] }),
      save: (_grant: unknown, checkpoint: Checkpoint) => this.write(() => (this[which] = checkpoint)),
    };
  }

  heal(parts: Partial<HealOptions> = {}, asked: Partial<PendingSwitch> = {}): Promise<Checkpoint> {
    return heal({ ...this.#options(), ...parts }, { ...loss, ...asked });
  }

  /** As a source is opened without a switch. */
  open(parts: Partial<HealOptions> = {}): Promise<Checkpoint> {
    const rewinds = { pendingFor: () => Promise.resolve(null) };
    return startFrom({ ...this.#options(), ...parts, rewinds, loss: null } as unknown as StartOptions);
  }

  #options(): HealOptions {
    const ignore = (): Promise<void> => Promise.resolve();
    const options: Partial<HealOptions> = {
      grant,
      current: { gtidSet: `${A}:1-7,${B}:1-2`, file: '', offset: 0, serverUuid: B },
      dcs: this.#checkpoints('dcs'),
      state: this.#checkpoints('state'),
      trail: { list: () => Promise.resolve([pastAt(9), pastAt(6), pastAt(3)]) },
      lineages: {
        current: () => Promise.resolve(this.lineage),
        raise: (_grant, to) => this.write(() => (this.lineage = to)),
      },
      mirror: {
        read: () => Promise.resolve(this.mirrorLineage),
        raise: (to) => this.write(() => (this.mirrorLineage = to)),
      },
      memories: [],
      acceptances: {
        acceptedBy: () => Promise.resolve(this.acceptedBy),
        accept: ignore,
        finish: () => Promise.resolve(void (this.acceptedBy = null)),
      },
      resyncs: {
        pendingFor: () => Promise.resolve(this.resync),
        request: (_grant, askedBy) => this.write(() => (this.resync ??= { askedBy })),
        withdraw: () => (this.resync?.askedBy === null ? this.write(() => (this.resync = null)) : Promise.resolve()),
        startOver: ignore,
        finish: () =>
          this.write(() => {
            this.resync = null;
            this.isResynced = true;
          }),
      },
      tableStore: {
        load: () => Promise.resolve([...this.records.values()]),
        save: (_grant, records) =>
          this.write(() => {
            for (const record of records) this.records.set(tableKey(record), record);
          }),
        reserveReads: ignore,
        reservedReads: () => Promise.resolve(0),
      },
      reads: { accept: (read) => this.write(() => this.reads.push(read)) },
      mirrored: {
        newestVersion: ({ table }) =>
          Promise.resolve(this.newest[table] === undefined ? '' : versionOf(this.newest[table])),
      },
      tombstonesMs: 86_400_000,
      listUnmirrored: () => Promise.resolve(new Map()),
      tables: [...this.records.values()].map(({ table }) => layoutOf(table)),
      listMirrored: () => Promise.resolve([]),
      includes: () => true,
      copiesRows: true,
      endTables: (changes: readonly TableChange[]) =>
        Promise.resolve(void this.ended.push(...changes.map(({ layout }) => layout.table))),
      findLast: () => Promise.resolve(null),
      assertReachable: () => undefined,
      prove: (known) => {
        this.proven.push(...known.map(({ gtid }) => gtid));
        return Promise.resolve(known.map((one) => ({ ...one, serverUuid: B, file: 'binlog.000001', offset: 4 })));
      },
      onHealed: (healing, lostUuid) => {
        this.healing = healing;
        this.lostUuid = lostUuid;
      },
      signal: new AbortController().signal,
      logger: silentLogger,
    };
    return options as HealOptions;
  }

  copyOf(table: string): CopyState | undefined {
    return this.records.get(name(table))?.copy;
  }
}

function lowestOf(lineage: number): string {
  return formatVersion({ lineage, fileNumber: 0, offset: 0, rowIndex: 0, readSequence: 0 });
}

describe('transactions that are given up', () => {
  it('I7: count as never read; rows above the newest checkpoint that the server contains are read again, in a lineage above', async () => {
    const world = new World();
    const before = world.records.get(name('orders'));
    const start = await world.heal();
    expect(start).toMatchObject({
      lineage: 4,
      position: { gtidSet: `${A}:1-6`, file: '', offset: 0, serverUuid: B },
      dispatchedSet: `${A}:1-7`,
    });
    expect([world.lineage, world.mirrorLineage, world.dcs, world.state]).toEqual([4, 4, start, start]);
    const ending = { state: 'ending', rowsRead: 5, above: versionOf(6), goneBelow: lowestOf(4), again: false };
    expect([world.copyOf('orders'), world.copyOf('lines')]).toEqual([ending, DONE]);
    expect(world.records.get(name('orders'))?.generation).toBeGreaterThan(before?.generation ?? Infinity);
    expect(world.healing).toEqual({ gtids: `${A}:8-10`, rowsOf: ['shop.orders'], whole: [], isResync: false });
    // nothing of what is lost proves the log
    expect(world.proven).toEqual([`${A}:6`]);
    expect(start.lastCovered).toMatchObject({ gtid: `${A}:6`, serverUuid: B, lineage: 4 });
  });

  it('I6: have what comes after the checkpoint that is proven repeated: its GTIDs may have been given again', async () => {
    const world = new World();
    world.dcs = world.state = checkpointAt(10, 10);
    const current = { gtidSet: `${A}:1-8`, file: '', offset: 0, serverUuid: A };
    const start = await world.heal({ current }, { givesUp: `${A}:9-10` });
    expect(start).toMatchObject({ position: { gtidSet: `${A}:1-6` }, dispatchedSet: `${A}:1-8` });
    expect(world.proven).toEqual([`${A}:6`]);
    // nothing that was covered is lost: the checkpoint itself is proven
    const other = new World();
    other.dcs = other.state = checkpointAt(7, 10);
    const untouched = await other.heal();
    expect([untouched.position.gtidSet, untouched.lastCovered?.gtid]).toEqual([`${A}:1-7`, `${A}:7`]);
  });

  it('I7: are given up by the next owner as well, wherever the process is killed, and the re-read is not forgotten', async () => {
    const whole = new World();
    await whole.heal();
    for (let killAt = 1; killAt <= whole.steps; killAt++)
      for (const killAfterWriting of [false, true]) {
        const world = Object.assign(new World(), { killAt, killAfterWriting });
        await expect(world.heal()).rejects.toThrow(Killed);
        const marked = world.copyOf('orders')?.state;
        // no checkpoint without the lost ones is known before the work is
        if (marked === 'done') expect([world.dcs.lineage, world.state.lineage]).toEqual([3, 3]);
        world.healing = null;
        const start = await world.heal();
        expect(start).toMatchObject({ dispatchedSet: `${A}:1-7`, position: { serverUuid: B } });
        expect(world.copyOf('orders')).toMatchObject({ state: 'ending', above: versionOf(6) });
        expect(world.lineage).toBe(start.lineage);
        expect(world.healing).toMatchObject({ gtids: `${A}:8-10`, rowsOf: ['shop.orders'], whole: [] });
        expect(world.lostUuid).toBe(A);
      }
  });

  it('must be named by the operator, all of them: what only the sinks remember is named from then on', async () => {
    const world = new World();
    world.dcs = world.state = checkpointAt(9, 9);
    const memories = [{ newestLineage: () => Promise.resolve(3), gtidsAbove: () => Promise.resolve([`${A}:11`]) }];
    await expect(world.heal({ memories })).rejects.toMatchObject({
      code: 'DITTO_SOURCE_LOSS_DIFFERS',
      message: expect.stringContaining(`${A}:8-11`),
    });
    expect([world.lineage, world.copyOf('orders'), world.state.dispatchedSet]).toEqual([3, DONE, `${A}:1-11`]);
    await world.heal({ memories }, { givesUp: `${A}:8-11` });
    expect(world.healing?.gtids).toBe(`${A}:8-11`);
    const other = new World();
    await other.heal({ memories }, { askedBy: null, givesUp: `${A}:8` });
    expect(other.healing?.gtids).toBe(`${A}:8-11`);
  });

  it('are not given up where the server has them by now', async () => {
    const world = new World();
    const current = { gtidSet: `${A}:1-12`, file: '', offset: 0, serverUuid: B };
    expect(await world.heal({ current })).toMatchObject({ lineage: 4, dispatchedSet: `${A}:1-10` });
    expect([world.healing, world.copyOf('orders')]).toEqual([null, DONE]);
  });

  it.each([
    ['no checkpoint of the past is contained', { trail: { list: () => Promise.resolve([pastAt(9)]) } }],
    [
      'it is older than the traces of deleted rows',
      { trail: { list: () => Promise.resolve([pastAt(6, 90_000_000)]) } },
    ],
  ])('have all tables read again where %s', async (_when, parts) => {
    const world = new World();
    // another transaction is left to prove the log by
    world.dcs = world.state = { ...checkpointAt(9, 10), lastCovered: logged(7) };
    await world.heal(parts);
    const pending = { state: 'pending', endsGone: true };
    expect([world.copyOf('orders'), world.copyOf('lines')]).toEqual([pending, pending]);
    expect(world.healing).toMatchObject({ rowsOf: [], whole: ['shop.orders', 'shop.lines'] });
  });

  it('I7: need a transaction that is left to prove the log by', async () => {
    const world = new World();
    const trail = { list: () => Promise.resolve([]) };
    await expect(world.heal({ trail })).rejects.toMatchObject({ code: 'DITTO_SOURCE_LOG_UNPROVEN' });
    expect([world.lineage, world.steps]).toEqual([3, 0]);
  });

  it('I7: are given up on a log that proves nothing once an operator has accepted it, though the source stops in between', async () => {
    const world = new World();
    const parts = { trail: { list: () => Promise.resolve([]) } };
    await expect(world.heal(parts)).rejects.toMatchObject({ code: 'DITTO_SOURCE_LOG_UNPROVEN' });
    world.acceptedBy = 'alice';
    const missing = new DittoError('DITTO_SOURCE_GTIDS_MISSING', 'missing');
    const assertReachable = (): never => {
      throw missing;
    };
    await expect(world.open({ ...parts, assertReachable })).rejects.toBe(missing);
    expect(await world.heal(parts)).toMatchObject({ lineage: 4, dispatchedSet: `${A}:1-7`, lastCovered: null });
    expect([world.acceptedBy, world.copyOf('orders')]).toEqual([null, { state: 'pending', endsGone: true }]);
  });

  it('are proven by an older checkpoint where the newest names no transaction', async () => {
    const world = new World();
    const trail = { list: () => Promise.resolve([{ ...pastAt(6), lastCovered: null }, pastAt(3)]) };
    await world.heal({ trail });
    expect([world.proven, world.copyOf('orders')]).toEqual([
      [`${A}:3`],
      expect.objectContaining({ above: versionOf(3) }),
    ]);
  });

  it('have a table read as a whole again that was to be when it was healed before', async () => {
    const world = new World();
    const healing = { state: 'ending', rowsRead: 3, goneBelow: 'f', above: versionOf(4), again: true } as const;
    world.records.set(name('orders'), recordOf('orders', healing));
    await world.heal();
    expect(world.copyOf('orders')).toMatchObject({ state: 'ending', above: versionOf(4), again: true });
  });

  it('have a table read as a whole that was not copied, or is not what the sinks have, and one ended that is not there', async () => {
    const world = new World();
    const copying = { state: 'copying', after: '[1]', rowsRead: 1, goneBelow: null, again: false } as const;
    const healing = { state: 'ending', rowsRead: 3, goneBelow: 'f', above: versionOf(4), again: false } as const;
    for (const record of [
      recordOf('copied', copying),
      recordOf('altered', DONE, { fingerprint: 'another' }),
      { ...recordOf('rekeyed'), adopted: { key: 'another', since: '', layout: layoutOf('rekeyed') } },
      recordOf('created'),
      { ...recordOf('dropped', { state: 'unavailable', reason: 'the table is no longer there' }), adopted: null },
      recordOf('healing', healing),
    ])
      world.records.set(tableKey(record), record);
    Object.assign(world.newest, { copied: 8, dropped: 8, healing: 7 });
    const tables = [...world.records.values()].flatMap(({ table }) => (table === 'created' ? [] : [layoutOf(table)]));
    await world.heal({ tables });
    const states = Object.fromEntries([...world.records.values()].map(({ table, copy }) => [table, copy.state]));
    expect(states).toEqual({
      ...{ orders: 'ending', lines: 'done', copied: 'pending', altered: 'pending', rekeyed: 'pending' },
      ...{ created: 'pending', dropped: 'pending', healing: 'ending' },
    });
    expect(world.copyOf('healing')).toMatchObject({ above: versionOf(4), goneBelow: lowestOf(4) });
    expect(world.ended).toEqual(['rekeyed']);
    expect(world.records.get(name('altered'))?.adopted?.layout?.fingerprint).toBe(layoutOf('altered').fingerprint);
  });

  it('have keys read that Kafka was given and the mirror was not; the whole table where they are not known', async () => {
    const world = new World();
    const unmirrored = new Map([
      [name('orders'), null],
      [name('lines'), ['[1]', '[2]']],
    ]);
    await world.heal({
      listUnmirrored: (versions) => {
        expect(versions).toEqual({ above: versionOf(9), downTo: versionOf(6) });
        return Promise.resolve(unmirrored);
      },
    });
    expect(world.copyOf('orders')).toEqual({ state: 'pending', endsGone: true });
    expect(world.reads).toMatchObject([
      { table: 'lines', scope: { kind: 'keys', keys: ['[1]', '[2]'] }, actor: 'alice' },
    ]);
    expect(world.healing).toMatchObject({ rowsOf: ['shop.lines'], whole: ['shop.orders'] });
  });

  it('are a resync where no sink is a mirror, also when it is interrupted', async () => {
    const world = new World();
    world.killAt = 2;
    await expect(world.heal({ mirrored: null })).rejects.toThrow(Killed);
    expect(world.resync).toEqual({ askedBy: null });
    const start = await world.heal({ mirrored: null });
    expect(start.position.gtidSet).toBe(`${A}:1-7,${B}:1-2`);
    expect([world.resync, world.healing?.isResync]).toEqual([null, true]);
  });

  it.each([null, 'alice'])(
    'I7: are no reason to resync once they are not given up, or not lost, wherever the process was killed (asked by %s)',
    async (askedBy) => {
      const mirrored = null;
      const whole = new World();
      await whole.heal({ mirrored }, { askedBy });
      for (let killAt = 1; killAt <= whole.steps; killAt++)
        for (const killAfterWriting of [false, true]) {
          const parts = { killAt, killAfterWriting };
          const [left, found, again] = [new World(), new World(), new World()].map((world) =>
            Object.assign(world, parts),
          ) as [World, World, World];
          for (const world of [left, found, again])
            await expect(world.heal({ mirrored }, { askedBy })).rejects.toThrow(Killed);
          const isDone = left.state.position.serverUuid === B;
          // the server that has everything is back: the loss is withdrawn, and with it the resync
          const { position, dispatchedSet } = left.state;
          const start = await left.open({ mirrored, current: { ...position, gtidSet: `${dispatchedSet},${A}:11` } });
          expect([left.resync, start.dispatchedSet]).toEqual([null, dispatchedSet]);
          // the server of the loss has it by now
          const gtidSet = `${A}:1-12,${B}:1-2`;
          const current = { gtidSet, file: '', offset: 0, serverUuid: B };
          const moved = await found.heal({ mirrored, current }, { askedBy });
          const rest = isDone ? `${A}:1-7,${B}:1-2` : `${A}:1-10`;
          expect([found.resync, moved.dispatchedSet, found.isResynced]).toEqual([null, rest, isDone]);
          const healed = await again.heal({ mirrored }, { askedBy });
          expect([again.resync, healed.dispatchedSet, again.healing?.isResync]).toEqual([
            ...[null, `${A}:1-7,${B}:1-2`, true],
          ]);
        }
    },
  );

  it('I7: are no reason to forget a resync that an operator has asked for', async () => {
    const world = new World();
    world.resync = { askedBy: 'bob' };
    expect(await world.open()).toMatchObject({ position: { gtidSet: `${A}:1-7,${B}:1-2` } });
    expect(world.resync).toBeNull();
  });

  it('I7: are no reason to resync by itself on a server of which nothing is proven', async () => {
    const trail = { list: () => Promise.resolve([]) };
    const empty = { gtidSet: '', file: '', offset: 0, serverUuid: B };
    const replaced = new DittoError('DITTO_SOURCE_LOG_REPLACED', 'replaced');
    for (const [parts, code] of [
      [{ trail, current: empty }, 'DITTO_SOURCE_LOG_UNPROVEN'],
      [{ prove: () => Promise.reject(replaced) }, 'DITTO_SOURCE_LOG_REPLACED'],
    ] as const) {
      const world = new World();
      await expect(world.heal({ mirrored: null, ...parts }, { askedBy: null })).rejects.toMatchObject({ code });
      expect([world.steps, world.resync, world.lineage]).toEqual([0, null, 3]);
    }
    const proven = new World();
    await proven.heal({ mirrored: null }, { askedBy: null });
    expect([proven.healing?.isResync, proven.proven]).toEqual([true, [`${A}:6`]]);
    // a person may know better
    const asked = new World();
    await asked.heal({ mirrored: null, trail, current: empty }, { givesUp: `${A}:1-10` });
    expect(asked.healing?.isResync).toBe(true);
  });

  it('stay where rows would not be read again, or the server has purged what comes next', async () => {
    const purged = new DittoError('DITTO_SOURCE_PURGED', 'purged');
    const world = new World();
    await expect(world.heal({ copiesRows: false })).rejects.toMatchObject({ code: 'DITTO_SOURCE_SNAPSHOTS_OFF' });
    const assertReachable = (): never => {
      throw purged;
    };
    await expect(world.heal({ assertReachable })).rejects.toBe(purged);
    expect(world.steps).toBe(0);
  });
});
