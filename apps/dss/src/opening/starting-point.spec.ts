import { describe, expect, it } from '@jest/globals';
import {
  type Checkpoint,
  type LoggedTransaction,
  startVersion,
  type StoredCheckpoint,
  transactionEndVersion,
  versionPrefix,
} from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import { CheckpointStore, LineageStore, LogAcceptanceStore, SinkMemory } from '#replication';
import { findStartingPoint, type StartingPointOptions } from './starting-point.ts';

const A = '11111111-1111-1111-1111-111111111111';
const B = '22222222-2222-2222-2222-222222222222';
const grant = { source: 's', owner: 'o', token: 1 };
const current = { gtidSet: `${A}:1-9`, file: '', offset: 0, serverUuid: A };

class MemoryCheckpoints extends CheckpointStore {
  checkpoint: Checkpoint | null;

  constructor(checkpoint: Checkpoint | null) {
    super();
    this.checkpoint = checkpoint;
  }

  load(): Promise<StoredCheckpoint | null> {
    return Promise.resolve(this.checkpoint && { token: 1, checkpoint: this.checkpoint });
  }

  save(_grant: unknown, checkpoint: Checkpoint): Promise<void> {
    this.checkpoint = checkpoint;
    return Promise.resolve();
  }
}

class MemoryLineages extends LineageStore {
  lineage: number;

  constructor(lineage: number) {
    super();
    this.lineage = lineage;
  }

  current(): Promise<number> {
    return Promise.resolve(this.lineage);
  }

  raise(_grant: unknown, to: number): Promise<void> {
    this.lineage = to;
    return Promise.resolve();
  }
}

class MemoryAcceptances extends LogAcceptanceStore {
  by: string | null = null;

  acceptedBy(): Promise<string | null> {
    return Promise.resolve(this.by);
  }

  accept(_grant: unknown, by: string): Promise<void> {
    this.by = by;
    return Promise.resolve();
  }

  finish(): Promise<void> {
    this.by = null;
    return Promise.resolve();
  }
}

/** A sink that holds changes of a lineage, the newest of this transaction. */
class OneSink extends SinkMemory {
  readonly lineage: number;
  readonly gtid: string;

  constructor(lineage: number, gtid = `${A}:1`) {
    super();
    this.lineage = lineage;
    this.gtid = gtid;
  }

  newestLineage(): Promise<number> {
    return Promise.resolve(this.lineage);
  }

  gtidsAbove(): Promise<readonly string[]> {
    return Promise.resolve([this.gtid]);
  }
}

const place = { gtid: `${A}:9`, serverUuid: A, file: 'binlog.000004', offset: 900, commitMicros: 9, digest: '' };
const unproven = new DittoError('DITTO_SOURCE_LOG_UNPROVEN', 'purged');

function logged(number: number, lineage = 3): LoggedTransaction {
  return { ...place, gtid: `${A}:${number}`, offset: number * 100, lineage };
}

function checkpointAt(last: number, lineage = 3): Checkpoint {
  const gtidSet = `${A}:1-${last}`;
  const position = { gtidSet, file: 'binlog.000004', offset: last * 100, serverUuid: A };
  const version = transactionEndVersion(versionPrefix(lineage, position.file, position.offset));
  return {
    source: 's',
    lineage,
    position,
    dispatchedSet: gtidSet,
    undecidedSet: '',
    version,
    commitMicros: 1,
    lastCovered: logged(last, lineage),
    lastDispatched: logged(last, lineage),
    savedAtMs: 1,
  };
}

function setUp(known: {
  hot?: Checkpoint;
  durable?: Checkpoint;
  lineage?: number;
  mirror?: number;
  sinks?: readonly SinkMemory[];
}): {
  dcs: MemoryCheckpoints;
  state: MemoryCheckpoints;
  lineages: MemoryLineages;
  acceptances: MemoryAcceptances;
  remembered: () => number;
  find: (changed?: Partial<StartingPointOptions>) => Promise<Checkpoint>;
} {
  const dcs = new MemoryCheckpoints(known.hot ?? null);
  const state = new MemoryCheckpoints(known.durable ?? null);
  const lineages = new MemoryLineages(known.lineage ?? 0);
  const acceptances = new MemoryAcceptances();
  let remembered = known.mirror ?? 0;
  const mirror = {
    read: () => Promise.resolve(remembered),
    raise: (to: number) => {
      remembered = to;
      return Promise.resolve();
    },
  };
  const find = (changed: Partial<StartingPointOptions> = {}): Promise<Checkpoint> =>
    findStartingPoint({
      ...{ grant, current, dcs, state, lineages, mirror, acceptances, logger: silentLogger },
      memories: known.sinks ?? [],
      signal: new AbortController().signal,
      findLast: () => Promise.resolve(place),
      assertReachable: () => undefined,
      prove: (asked) => Promise.resolve(asked),
      ...changed,
    });
  return { dcs, state, lineages, acceptances, remembered: () => remembered, find };
}

describe('findStartingPoint', () => {
  it('I3: continues in a new lineage when the numbers of reads were used up and the state database has another', async () => {
    const { find } = setUp({ hot: checkpointAt(7), durable: checkpointAt(7), lineage: 4, mirror: 3 });
    expect(await find()).toMatchObject({
      lineage: 5,
      position: checkpointAt(7).position,
      version: startVersion(5, checkpointAt(7).position.file, checkpointAt(7).position.offset),
    });
  });

  it('begins after what the server has executed, with a first lineage, when nothing is known', async () => {
    const { find, dcs, state, remembered } = setUp({});
    const start = await find();
    expect(start).toMatchObject({ lineage: 1, position: current, dispatchedSet: current.gtidSet });
    expect(start.version).toBe(startVersion(1, '', 0));
    expect([dcs.checkpoint, state.checkpoint, remembered()]).toEqual([start, start, 1]);
  });

  it('continues from the copy of the checkpoint that covers more', async () => {
    const older = checkpointAt(5);
    const newer = checkpointAt(7);
    expect(await setUp({ hot: newer, durable: older, lineage: 3, mirror: 3 }).find()).toEqual(newer);
    expect(await setUp({ hot: older, durable: newer, lineage: 3, mirror: 3 }).find()).toEqual(newer);
    expect(await setUp({ durable: older, lineage: 3, mirror: 3 }).find()).toEqual(older);
  });

  it('I3: another server gets a lineage above all that are known anywhere, and places of its own', async () => {
    const { find, lineages, remembered } = setUp({
      hot: checkpointAt(7),
      durable: checkpointAt(6),
      lineage: 3,
      mirror: 5,
    });
    const start = await find({ current: { ...current, serverUuid: B } });
    expect(start).toMatchObject({
      lineage: 6,
      version: startVersion(6, '', 0),
      position: { file: '', offset: 0, serverUuid: B },
    });
    expect(start.dispatchedSet).toBe(`${A}:1-7`);
    expect([lineages.lineage, remembered()]).toEqual([6, 6]);
  });

  it('I3: a mirror that is behind the lineage of the checkpoint is another than it was: a new lineage', async () => {
    const { find, remembered } = setUp({ durable: checkpointAt(7), lineage: 3, mirror: 2 });
    expect(await find()).toMatchObject({
      lineage: 4,
      version: startVersion(4, checkpointAt(7).position.file, checkpointAt(7).position.offset),
    });
    expect(remembered()).toBe(4);
  });

  it.each([
    ['the state database', { lineage: 9, mirror: 3 }, 10],
    ['the mirror', { lineage: 3, mirror: 9 }, 10],
    ['the checkpoint', { lineage: 3, mirror: 0 }, 4],
  ])(
    'I3: the lineage for another server is above the lineage of %s alone, and raised before it is used',
    async (_, known, next) => {
      const world = setUp({ hot: checkpointAt(7), durable: checkpointAt(7), ...known });
      const steps: unknown[] = [];
      const raise = world.lineages.raise.bind(world.lineages);
      world.lineages.raise = (grantOf, to) => {
        steps.push('raised');
        return raise(grantOf, to);
      };
      for (const store of [world.state, world.dcs])
        store.save = (_grant, checkpoint) => {
          steps.push(checkpoint.lineage);
          return Promise.resolve();
        };
      const start = await world.find({ current: { ...current, serverUuid: B } });
      expect(start).toMatchObject({
        lineage: next,
        version: startVersion(next, '', 0),
        position: { file: '', offset: 0, serverUuid: B },
      });
      expect(steps).toEqual(['raised', next, next]);
    },
  );

  it('I3: a lineage that was raised just before a crash is not used again', async () => {
    expect(await setUp({ durable: checkpointAt(7), lineage: 4, mirror: 3 }).find()).toMatchObject({ lineage: 5 });
  });

  it('I7: changes nothing when the server can not continue from the checkpoint', async () => {
    const gap = new DittoError('DITTO_SOURCE_PURGED', 'purged');
    const { find, lineages, dcs } = setUp({ hot: checkpointAt(7), durable: checkpointAt(7), lineage: 3, mirror: 3 });
    const assertReachable = (): never => {
      throw gap;
    };
    await expect(find({ current: { ...current, serverUuid: B }, assertReachable })).rejects.toBe(gap);
    expect([lineages.lineage, dcs.checkpoint]).toEqual([3, checkpointAt(7)]);
  });

  it('I7: two copies are united: what either knows to be dispatched is asked of the next server', async () => {
    const durable = { ...checkpointAt(5), dispatchedSet: `${A}:1-8`, lastDispatched: logged(8) };
    const { find } = setUp({ hot: checkpointAt(7), durable, lineage: 3, mirror: 3 });
    expect(await find()).toEqual({ ...checkpointAt(7), dispatchedSet: `${A}:1-8`, lastDispatched: logged(8) });
  });

  it('I7: another server must have what the sinks hold beyond the checkpoint; the same one needs no look at them', async () => {
    const asked: string[] = [];
    const assertReachable = ({ dispatchedSet }: Checkpoint): void => void asked.push(dispatchedSet);
    const { find } = setUp({ durable: checkpointAt(7), lineage: 3, mirror: 3, sinks: [new OneSink(3, `${A}:12`)] });
    expect((await find({ assertReachable })).dispatchedSet).toBe(`${A}:1-7`);
    const moved = await find({ assertReachable, current: { ...current, serverUuid: B } });
    expect(moved.dispatchedSet).toBe(`${A}:1-12`);
    expect(asked).toEqual([`${A}:1-7`, `${A}:1-12`]);
  });

  it('I7: the transactions of the checkpoint are known by their places on the other server from then on', async () => {
    const { find } = setUp({ durable: checkpointAt(7), lineage: 3, mirror: 3 });
    const there = { ...place, gtid: `${A}:7`, serverUuid: B, file: 'other.000001', offset: 4 };
    const start = await find({ current: { ...current, serverUuid: B }, prove: () => Promise.resolve([null, there]) });
    expect([start.lastCovered, start.lastDispatched]).toEqual([null, { ...there, lineage: 4 }]);
  });

  it('I7: a first start keeps the last transaction of the log, so that a reset before the next one is seen', async () => {
    const start = await setUp({}).find();
    expect([start.lastCovered, start.lastDispatched]).toEqual([logged(9, 1), logged(9, 1)]);
    expect((await setUp({}).find({ findLast: () => Promise.resolve(null) })).lastCovered).toBeNull();
  });

  it('I7: an older record names no transactions, and the source continues from it as before', async () => {
    const durable = { ...checkpointAt(7), lastCovered: null, lastDispatched: null };
    const { find } = setUp({ durable, lineage: 3, mirror: 3 });
    expect(await find({ prove: (known) => Promise.resolve(known.map(() => null)) })).toEqual(durable);
  });

  it.each([
    ['the mirror', [new OneSink(2)], { mirror: 2 }],
    ['Kafka, the only sink', [new OneSink(2)], {}],
    ['a sink, while a lineage is known', [new OneSink(0), new OneSink(2)], { lineage: 2 }],
  ])('I4: no checkpoint although %s holds changes is a stop, not a first start', async (_, sinks, known) => {
    const { find, lineages } = setUp({ ...known, sinks });
    await expect(find()).rejects.toMatchObject({ code: 'DITTO_SOURCE_CHECKPOINT_LOST', retriable: false });
    expect(lineages.lineage).toBe('lineage' in known ? 2 : 0);
  });

  it.each([
    ['is empty', { lineage: 0 }],
    ['is older', { lineage: 2, durable: checkpointAt(4, 2) }],
  ])(
    'I6: a state database that %s while Redis lives is a stop: reads that were asked for are forgotten',
    async (_, known) => {
      const { find } = setUp({ hot: checkpointAt(7), mirror: 3, ...known });
      await expect(find()).rejects.toMatchObject({ code: 'DITTO_SOURCE_CHECKPOINT_LOST', retriable: false });
    },
  );

  it('a first start that was cut off anywhere is a first start again', async () => {
    for (const step of ['lineage', 'state', 'dcs', 'mirror'] as const) {
      const world = setUp({});
      const killed = new Error('killed');
      const dies = (): Promise<never> => Promise.reject(killed);
      const mirror = { read: () => Promise.resolve(0), raise: dies };
      if (step === 'lineage') world.lineages.raise = dies;
      if (step === 'state') world.state.save = dies;
      if (step === 'dcs') world.dcs.save = dies;
      await expect(world.find(step === 'mirror' ? { mirror } : {})).rejects.toBe(killed);
      const next = setUp({
        ...(world.state.checkpoint === null ? {} : { durable: world.state.checkpoint }),
        ...(world.dcs.checkpoint === null ? {} : { hot: world.dcs.checkpoint }),
        lineage: world.lineages.lineage,
        sinks: [new OneSink(world.remembered())],
      });
      expect((await next.find()).position).toEqual(current);
    }
  });

  it('I7: the source continues in a log that proves nothing once an operator accepts it, and only once', async () => {
    const world = setUp({ hot: checkpointAt(7), durable: checkpointAt(7), lineage: 3, mirror: 3 });
    const prove = (known: readonly unknown[]): Promise<readonly null[]> =>
      known.length === 0 ? Promise.resolve([]) : Promise.reject(unproven);
    await expect(world.find({ prove })).rejects.toBe(unproven);
    world.acceptances.by = 'alice';
    const accepted = { ...checkpointAt(7), lastCovered: null, lastDispatched: null };
    expect(await world.find({ prove })).toEqual(accepted);
    expect([world.state.checkpoint, world.dcs.checkpoint, world.acceptances.by]).toEqual([accepted, accepted, null]);
    expect(await world.find({ prove })).toEqual(accepted);
    world.state.checkpoint = world.dcs.checkpoint = checkpointAt(8);
    await expect(world.find({ prove })).rejects.toBe(unproven);
  });

  it('I7: what an operator accepted does not cover a log that is proven to be another, and does not wait for a later one', async () => {
    const world = setUp({ durable: checkpointAt(7), lineage: 3, mirror: 3 });
    world.acceptances.by = 'alice';
    const replaced = new DittoError('DITTO_SOURCE_LOG_REPLACED', 'another');
    await expect(world.find({ prove: () => Promise.reject(replaced) })).rejects.toBe(replaced);
    expect(world.acceptances.by).toBeNull();
    world.acceptances.by = 'alice';
    await world.find();
    expect(world.acceptances.by).toBeNull();
  });

  it('an acceptance is kept while a server is away, and when the process ends before it is stored', async () => {
    const world = setUp({ durable: checkpointAt(7), lineage: 3, mirror: 3 });
    world.acceptances.by = 'alice';
    const away = new DittoError('DITTO_SOURCE_UNREACHABLE', 'away', { retriable: true });
    await expect(world.find({ prove: () => Promise.reject(away) })).rejects.toBe(away);
    world.dcs.save = () => Promise.reject(away);
    await expect(world.find({ prove: () => Promise.reject(unproven) })).rejects.toBe(away);
    expect(world.acceptances.by).toBe('alice');
  });

  it('I7: an acceptance is kept where the log was not asked: it is for the opening that gives up what is missing', async () => {
    const world = setUp({ durable: checkpointAt(7), lineage: 3, mirror: 3 });
    world.acceptances.by = 'alice';
    for (const code of ['DITTO_SOURCE_GTIDS_MISSING', 'DITTO_SOURCE_PURGED']) {
      const assertReachable = (): never => {
        throw new DittoError(code, 'not there');
      };
      await expect(world.find({ assertReachable })).rejects.toMatchObject({ code });
      expect(world.acceptances.by).toBe('alice');
    }
  });

  it('an acceptance is kept when the process is stopped', async () => {
    const world = setUp({ durable: checkpointAt(7), lineage: 3, mirror: 3 });
    world.acceptances.by = 'alice';
    const shutdown = new AbortController();
    const prove = (): Promise<never> => {
      shutdown.abort();
      return Promise.reject(shutdown.signal.reason as Error);
    };
    await expect(world.find({ prove, signal: shutdown.signal })).rejects.toMatchObject({ name: 'AbortError' });
    expect(world.acceptances.by).toBe('alice');
  });
});
