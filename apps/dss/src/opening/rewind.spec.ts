import { beforeEach, describe, expect, it } from '@jest/globals';
import { type Checkpoint, formatVersion, startVersion } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import { type CheckpointStore } from '#replication';
import { type LostMessages, type RewindOptions, rewindWhenAsked } from './rewind.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '4e11fa47-71ca-11e1-9e33-c80aa9429562';
const grant = { source: 'shop', owner: 'me', token: 3 };

const checkpoint: Checkpoint = {
  source: 'shop',
  lineage: 2,
  position: { gtidSet: `${A}:1-50:60,${B}:1-5`, file: 'binlog.000009', offset: 900, serverUuid: A },
  dispatchedSet: `${A}:1-55`,
  undecidedSet: '',
  version: formatVersion({ lineage: 2, fileNumber: 9, offset: 800, rowIndex: 0xffffffff, readSequence: 0xffffffff }),
  commitMicros: 5,
  lastCovered: {
    gtid: `${A}:50`,
    serverUuid: A,
    lineage: 2,
    file: 'binlog.000009',
    offset: 800,
    commitMicros: 5,
    digest: '',
  },
  lastDispatched: null,
  savedAtMs: 1,
};

let world: Memory;

/** Everything outside; `killAt` ends the process at its n-th write. */
class Memory {
  stored: Record<'dcs' | 'state', Checkpoint> = { dcs: checkpoint, state: checkpoint };
  askedBy: string | null = 'alice';
  lost: LostMessages | null = {
    topics: new Set(['shop.shop.orders', 'shop']),
    survivor: formatVersion({ lineage: 2, fileNumber: 7, offset: 400, rowIndex: 3, readSequence: 0 }),
  };
  again: string[] = [];
  killAt = 0;
  #writes = 0;

  write(apply: () => void): Promise<void> {
    if (++this.#writes === this.killAt)
      return Promise.reject(new DittoError('DITTO_STATE_UNAVAILABLE', 'killed', { retriable: true }));
    apply();
    return Promise.resolve();
  }

  store(name: 'dcs' | 'state'): CheckpointStore {
    return {
      load: () => Promise.resolve({ token: 3, checkpoint: this.stored[name] }),
      save: (_grant, saved) => this.write(() => (this.stored[name] = saved)),
    };
  }

  rewind(changed: Partial<RewindOptions> = {}): Promise<void> {
    return rewindWhenAsked({
      grant,
      dcs: this.store('dcs'),
      state: this.store('state'),
      lineages: { current: () => Promise.resolve(2), raise: () => Promise.resolve() },
      mirror: null,
      memories: [],
      signal: new AbortController().signal,
      logger: silentLogger,
      current: { gtidSet: `${A}:1-70,${B}:1-5`, file: '', offset: 0, serverUuid: A },
      purged: `${A}:1-10:60`,
      rewinds: {
        pendingFor: () => Promise.resolve(this.askedBy),
        request: () => Promise.resolve(),
        giveUp: () => this.write(() => (this.askedBy = null)),
        finish: (_grant, tables) =>
          this.write(() => {
            this.askedBy = null;
            this.lost = null;
            this.again = tables.map(({ table }) => table);
          }),
      },
      tableStore: {
        load: () => Promise.resolve(['orders', 'lines', 'keyless'].map((table) => progressOf(table))),
      } as unknown as RewindOptions['tableStore'],
      findLost: () => Promise.resolve(this.lost),
      findPlace: (fileNumber, offset) =>
        Promise.resolve({ file: `binlog.00000${fileNumber}`, offset, gtidSet: `${A}:1-30:40,${B}:1-4` }),
      ...changed,
    });
  }
}

function progressOf(table: string): object {
  return { database: 'shop', table, copy: { state: table === 'keyless' ? 'unavailable' : 'done' } };
}

beforeEach(() => {
  world = new Memory();
});

const rewound = {
  lineage: 2,
  // 60 is in no log any more, and 31-39 come again
  position: { gtidSet: `${A}:1-30:40:60,${B}:1-4`, file: 'binlog.000007', offset: 400, serverUuid: A },
  dispatchedSet: `${A}:1-55:60,${B}:1-5`,
  version: startVersion(2, 'binlog.000007', 400),
  lastCovered: null,
};

describe('rewindWhenAsked', () => {
  it('does nothing that nobody has asked for', async () => {
    world.askedBy = null;
    await world.rewind({ findLost: () => Promise.reject(new Error('not asked')) });
    expect(world.stored.state).toBe(checkpoint);
  });

  it('I1: continues from before the oldest message that is left, and copies the tables again that have lost some', async () => {
    await world.rewind();
    for (const stored of Object.values(world.stored)) expect(stored).toMatchObject(rewound);
    expect([world.askedBy, world.lost, world.again]).toEqual([null, null, ['orders']]);
  });

  it.each([1, 2, 3])('is finished by the next when its process ends at write %i', async (killAt) => {
    world.killAt = killAt;
    await expect(world.rewind()).rejects.toMatchObject({ retriable: true });
    expect(world.askedBy).toBe('alice');
    await world.rewind();
    for (const stored of Object.values(world.stored)) expect(stored).toMatchObject(rewound);
    expect([world.askedBy, world.again]).toEqual([null, ['orders']]);
  });

  it('is finished by the next when its process is stopped', async () => {
    const shutdown = new AbortController();
    const findLost = (): Promise<never> => {
      shutdown.abort();
      return Promise.reject(shutdown.signal.reason as Error);
    };
    await expect(world.rewind({ signal: shutdown.signal, findLost })).rejects.toMatchObject({ name: 'AbortError' });
    expect(world.askedBy).toBe('alice');
  });

  const place = { lineage: 2, fileNumber: 7, offset: 400, rowIndex: 3, readSequence: 0 };
  it.each<[string, Partial<typeof place> | null, Partial<RewindOptions>]>([
    ['nothing is left', null, {}],
    ['another lineage', { lineage: 1 }, {}],
    ['a read before the first change', { fileNumber: 0, offset: 0 }, {}],
    ['another server', {}, { current: { ...checkpoint.position, serverUuid: B } }],
    ['a purged log', {}, { findPlace: () => Promise.resolve(null) }],
  ])('I6: %s is a coded stop that leaves the loss known and leads to resync', async (_, changed, options) => {
    world.lost = {
      topics: new Set(['shop.shop.orders']),
      survivor: changed && formatVersion({ ...place, ...changed }),
    };
    await expect(world.rewind(options)).rejects.toMatchObject({
      code: 'DITTO_SOURCE_REWIND_IMPOSSIBLE',
      retriable: false,
    });
    expect(world.stored.state).toBe(checkpoint);
    expect(world.askedBy).toBeNull();
    expect(world.lost).not.toBeNull();
  });
});
