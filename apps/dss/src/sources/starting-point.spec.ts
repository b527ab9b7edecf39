import { describe, expect, it } from '@jest/globals';
import { type Checkpoint, type StoredCheckpoint, transactionEndVersion, versionPrefix } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import { CheckpointStore, LineageStore } from '#replication';
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

function checkpointAt(last: number, lineage = 3): Checkpoint {
  const gtidSet = `${A}:1-${last}`;
  const position = { gtidSet, file: 'binlog.000004', offset: last * 100, serverUuid: A };
  const version = transactionEndVersion(versionPrefix(lineage, position.file, position.offset));
  return {
    source: 's',
    lineage,
    position,
    dispatchedSet: gtidSet,
    version,
    commitMicros: 1,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: 1,
  };
}

function setUp(known: { hot?: Checkpoint; durable?: Checkpoint; lineage?: number; mirror?: number }): {
  dcs: MemoryCheckpoints;
  state: MemoryCheckpoints;
  lineages: MemoryLineages;
  remembered: () => number;
  find: (changed?: Partial<StartingPointOptions>) => Promise<Checkpoint>;
} {
  const dcs = new MemoryCheckpoints(known.hot ?? null);
  const state = new MemoryCheckpoints(known.durable ?? null);
  const lineages = new MemoryLineages(known.lineage ?? 0);
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
      ...{ grant, current, dcs, state, lineages, mirror, logger: silentLogger },
      assertReachable: () => undefined,
      ...changed,
    });
  return { dcs, state, lineages, remembered: () => remembered, find };
}

describe('findStartingPoint', () => {
  it('begins behind what the server has executed, with a first lineage, when nothing is known', async () => {
    const { find, dcs, state, remembered } = setUp({});
    const start = await find();
    expect(start).toMatchObject({ lineage: 1, position: current, dispatchedSet: current.gtidSet, version: '' });
    expect([dcs.checkpoint, state.checkpoint, remembered()]).toEqual([start, start, 1]);
  });

  it('goes on from the copy of the checkpoint that covers more', async () => {
    const older = checkpointAt(5);
    const newer = checkpointAt(7);
    expect(await setUp({ hot: newer, durable: older, lineage: 3, mirror: 3 }).find()).toEqual(newer);
    expect(await setUp({ hot: older, durable: newer, lineage: 3, mirror: 3 }).find()).toEqual(newer);
    expect(await setUp({ durable: older, lineage: 3, mirror: 3 }).find()).toEqual(older);
  });

  it('I3: another server gets a lineage above all that are known anywhere, and places of its own', async () => {
    const { find, lineages, remembered } = setUp({ hot: checkpointAt(7), lineage: 3, mirror: 5 });
    const start = await find({ current: { ...current, serverUuid: B } });
    expect(start).toMatchObject({ lineage: 6, version: '', position: { file: '', offset: 0, serverUuid: B } });
    expect(start.dispatchedSet).toBe(`${A}:1-7`);
    expect([lineages.lineage, remembered()]).toEqual([6, 6]);
  });

  it('I3: a lineage that was raised just before a crash is not used again', async () => {
    expect(await setUp({ hot: checkpointAt(7), lineage: 4, mirror: 3 }).find()).toMatchObject({ lineage: 5 });
  });

  it('I7: changes nothing when the server can not go on from the checkpoint', async () => {
    const gap = new DittoError('DITTO_SOURCE_PURGED', 'purged');
    const { find, lineages, dcs } = setUp({ hot: checkpointAt(7), lineage: 3, mirror: 3 });
    const assertReachable = (): never => {
      throw gap;
    };
    await expect(find({ current: { ...current, serverUuid: B }, assertReachable })).rejects.toBe(gap);
    expect([lineages.lineage, dcs.checkpoint]).toEqual([3, checkpointAt(7)]);
  });
});
