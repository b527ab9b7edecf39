import { describe, expect, it } from '@jest/globals';
import { type LeaseHolder, type ServiceStatus } from '#dcs-client';
import { DittoError, silentLogger } from '#kernel';
import { type Placement } from '#state';
import { SourceShares } from './source-shares.ts';

/** What all instances see, as one of them looks at it. */
class Board {
  nowMs = 1000;
  readonly owners: Record<string, string> = {};
  readonly tokens: Record<string, number> = {};
  readonly running: string[];
  readonly placements = new Map<string, Placement>();
  readonly moved: string[] = [];
  readonly ended: string[] = [];
  movable = true;
  isMoving = false;
  /** Whether a move that was begun comes to its end. */
  handsOver = true;
  expiresInMs = 5000;
  isDown = false;
  state: 'up' | 'down' | 'hangs' = 'up';
  /** How long the list of leases takes. */
  leasesTakeMs = 0;
  /** Instances that have stopped reporting. */
  readonly silent = new Set<string>();
  readonly #reportedAtMs = new Map<string, number>();
  readonly #sources: readonly string[];
  #orders = 0;
  readonly shares: SourceShares;

  constructor(instance: string, running: readonly string[], sources: readonly string[]) {
    this.running = [...running];
    this.#sources = sources;
    this.shares = new SourceShares({
      instance,
      weights: new Map(sources.map((name) => [name, 1])),
      listLeases: () => this.#answer(() => this.#leases()),
      listServices: () => this.#answer(() => this.#services()),
      listPlacements: () => {
        if (this.state === 'hangs') return new Promise(() => undefined);
        if (this.state === 'up') return Promise.resolve(new Map(this.placements));
        return Promise.reject(new DittoError('DITTO_STATE_UNAVAILABLE', 'down', { retriable: true }));
      },
      endPlacement: (source, from) => {
        this.ended.push(`${source} ${from}`);
        return Promise.resolve();
      },
      move: (source, to, askedBy) => {
        this.moved.push(`${source} ${to} ${askedBy}`);
        return Promise.resolve(this.handsOver);
      },
      isMoving: () => this.isMoving,
      logger: silentLogger,
      monotonicMs: () => this.nowMs,
    });
  }

  #answer<T>(work: () => T): Promise<T> {
    if (!this.isDown) return Promise.resolve(work());
    return Promise.reject(new DittoError('DITTO_DCS_UNAVAILABLE', 'down', { retriable: true }));
  }

  #leases(): LeaseHolder[] {
    this.nowMs += this.leasesTakeMs;
    return Object.entries(this.owners).map(([source, owner]) => ({
      ...{ source, owner, token: this.tokens[source] ?? 1, expiresInMs: this.expiresInMs, process: null },
    }));
  }

  #services(): ServiceStatus[] {
    for (const instance of this.running) if (!this.silent.has(instance)) this.#reportedAtMs.set(instance, this.nowMs);
    return this.running.map((instance) => ({
      ...{ service: 'dss' as const, instance, startedAtMs: 0, url: null },
      reportedAtMs: this.#reportedAtMs.get(instance) ?? 0,
      details: { sources: this.#sources.map((name) => ({ name, movable: this.movable })) },
    }));
  }

  place(source: string, instance: string): void {
    this.placements.set(source, { instance, placedBy: 'alice', order: ++this.#orders });
  }

  async look(times = 1): Promise<void> {
    for (let i = 0; i < times; i++) {
      this.nowMs += 1000;
      await this.shares.look();
    }
  }
}

function own(board: Board, owner: string, ...sources: readonly string[]): void {
  for (const source of sources) {
    if (board.owners[source] !== owner) board.tokens[source] = (board.tokens[source] ?? 0) + 1;
    board.owners[source] = owner;
  }
}

describe('SourceShares', () => {
  it('hands over one source when a share is too small, not before it has been so for a while', async () => {
    const board = new Board('a', ['a', 'b'], ['s1', 's2', 's3']);
    own(board, 'a', 's1', 's2', 's3');
    await board.look(7);
    expect(board.moved).toEqual([]);
    await board.look();
    expect(board.moved).toEqual(['s1 b null']);
    board.isMoving = true;
    await board.look(5);
    expect(board.moved).toEqual(['s1 b null']);
  });

  it('leaves it to the owner to hand over, and expects what is handed to it', async () => {
    const board = new Board('b', ['a', 'b'], ['s1', 's2', 's3']);
    own(board, 'a', 's1', 's2', 's3');
    await board.look(10);
    expect(board.moved).toEqual([]);
    expect(['s1', 's2', 's3'].map((source) => board.shares.turnOf(source))).toEqual(['expects', 'asks', 'asks']);
  });

  it('a source that came back from where it was moved to rests', async () => {
    const board = new Board('a', ['a', 'b'], ['s1', 's2', 's3']);
    own(board, 'a', 's1', 's2', 's3');
    await board.look(8);
    expect([board.shares.mayMove('s1'), board.shares.mayMove('s2')]).toEqual([false, true]);
    board.nowMs += 600_001;
    expect(board.shares.mayMove('s1')).toBe(true);
  });

  it('gives nothing to an instance that has died, whose report is still there', async () => {
    const board = new Board('a', ['a', 'b'], ['s1', 's2', 's3']);
    own(board, 'a', 's1');
    own(board, 'b', 's2', 's3');
    await board.look(3);
    board.silent.add('b');
    own(board, 'a', 's2', 's3');
    await board.look(20);
    expect(board.moved).toEqual([]);
  });

  it('gives nothing either to one that had lived for long', async () => {
    const board = new Board('a', ['a', 'b'], ['s1', 's2', 's3']);
    own(board, 'a', 's1');
    own(board, 'b', 's2', 's3');
    await board.look(10);
    board.silent.add('b');
    own(board, 'a', 's2', 's3');
    await board.look(20);
    expect(board.moved).toEqual([]);
  });

  it('asks for its part of what an owner would leave; for the rest only when nobody takes it', async () => {
    const board = new Board('b', ['a', 'b', 'c'], ['s1', 's2']);
    own(board, 'a', 's1', 's2');
    await board.look();
    expect([board.shares.turnOf('s1'), board.shares.turnOf('s2')]).toEqual(['expects', 'waits']);
    board.running.splice(0, 1);
    delete board.owners['s1'];
    delete board.owners['s2'];
    await board.look();
    expect([board.shares.turnOf('s1'), board.shares.turnOf('s2')]).toEqual(['asks', 'waits']);
    board.nowMs += 1000;
    expect(board.shares.turnOf('s2')).toBe('asks');
  });

  it('asks for the rest when the lease must have run out for a while, also before it has looked again', async () => {
    const board = new Board('b', ['a', 'b', 'c'], ['s1', 's2']);
    own(board, 'a', 's1', 's2');
    board.expiresInMs = 800;
    await board.look();
    board.nowMs += 1799;
    expect(board.shares.turnOf('s2')).toBe('waits');
    board.nowMs += 1;
    expect(board.shares.turnOf('s2')).toBe('asks');
    await board.look();
    expect(board.shares.turnOf('s2')).toBe('waits');
  });

  it('asks for every lease while it does not know who else is there', async () => {
    const board = new Board('b', ['a', 'b', 'c'], ['s1', 's2']);
    expect(board.shares.turnOf('s2')).toBe('asks');
    own(board, 'a', 's1', 's2');
    await board.look();
    expect(board.shares.turnOf('s2')).toBe('waits');
    board.isDown = true;
    await board.look(4);
    expect(board.shares.turnOf('s2')).toBe('asks');
  });

  it('hands a source to where an operator has placed it, at once, and then leaves it there', async () => {
    const board = new Board('a', ['a', 'b'], ['s1', 's2', 's3', 's4']);
    own(board, 'a', 's1', 's2');
    own(board, 'b', 's3', 's4');
    await board.look();
    board.place('s2', 'b');
    board.movable = false;
    await board.look();
    expect(board.moved).toEqual(['s2 b alice']);
    const other = new Board('b', ['a', 'b'], ['s1', 's2', 's3', 's4']);
    own(other, 'a', 's1');
    own(other, 'b', 's2', 's3', 's4');
    other.place('s2', 'b');
    await other.look(8);
    expect(other.moved).toEqual(['s3 a null']);
  });

  it.each(['down', 'hangs'] as const)(
    'moves nothing while the state database is away (%s), and says all the same who asks for what',
    async (state) => {
      const board = new Board('a', ['a', 'b'], ['s1', 's2', 's3', 's4']);
      own(board, 'a', 's1', 's2', 's3', 's4');
      await board.look(2);
      board.place('s2', 'b');
      await board.look();
      expect(board.moved.splice(0)).toEqual(['s2 b alice']);
      own(board, 'b', 's2');
      board.place('s3', 'b');
      board.place('s1', 'gone');
      board.state = state;
      board.nowMs += 6000;
      await board.look(2);
      board.running.push('c');
      own(board, 'c', 's3');
      await board.look();
      expect([board.moved, board.ended]).toEqual([[], []]);
      expect(['s1', 's2', 's3'].map((source) => board.shares.turnOf(source))).toEqual(['expects', 'waits', 'waits']);
      board.state = 'up';
      await board.look();
      expect([board.moved, board.ended]).toEqual([[], ['s1 gone']]);
    },
    15_000,
  );

  it('moves nothing by what it has seen long ago', async () => {
    const board = new Board('a', ['a', 'b'], ['s1', 's2', 's3']);
    own(board, 'a', 's1', 's2', 's3');
    board.leasesTakeMs = 3100;
    await board.look(5);
    expect(board.moved).toEqual([]);
    expect(board.shares.turnOf('s1')).toBe('asks');
    board.leasesTakeMs = 0;
    await board.look();
    expect(board.moved).toEqual(['s1 b null']);
  });

  it('a source that comes back from where it was placed stays, until it is placed anew or a long time has passed', async () => {
    const board = new Board('a', ['a', 'b'], ['s1', 's2']);
    board.movable = false;
    own(board, 'a', 's1', 's2');
    await board.look();
    board.place('s1', 'b');
    for (let i = 0; i < 5; i++) {
      await board.look(3);
      own(board, 'b', 's1');
      await board.look();
      own(board, 'a', 's1');
    }
    expect(board.moved.splice(0)).toEqual(['s1 b alice']);
    board.place('s1', 'b');
    await board.look(3);
    expect(board.moved.splice(0)).toEqual(['s1 b alice']);
    board.nowMs += 600_000;
    await board.look(2);
    expect(board.moved).toEqual(['s1 b alice']);
  });

  it('a source that could not be handed over has not moved: it does not rest, and the order is followed again', async () => {
    const board = new Board('a', ['a', 'b'], ['s1', 's2', 's3']);
    board.handsOver = false;
    own(board, 'a', 's1', 's2', 's3');
    await board.look(9);
    expect(board.moved.splice(0)).toEqual(['s1 b null', 's1 b null']);
    expect(board.shares.mayMove('s1')).toBe(true);
    board.movable = false;
    board.place('s1', 'b');
    await board.look(2);
    expect(board.moved.splice(0)).toEqual(['s1 b alice', 's1 b alice']);
    board.handsOver = true;
    await board.look(3);
    expect([board.moved, board.shares.mayMove('s1')]).toEqual([['s1 b alice'], false]);
  });

  it('an order of an operator and a share that is too small do not begin two moves in one look', async () => {
    const board = new Board('a', ['a', 'b'], ['s1', 's2', 's3', 's4']);
    own(board, 'a', 's1', 's2', 's3', 's4');
    await board.look(7);
    board.place('s4', 'b');
    await board.look();
    expect(board.moved).toEqual(['s4 b alice']);
  });

  it('does not hand a source to where it is placed when that instance has said nothing since it is here', async () => {
    const board = new Board('a', ['a', 'b'], ['s1', 's2']);
    board.movable = false;
    own(board, 'b', 's1', 's2');
    board.place('s1', 'b');
    await board.look(2);
    board.silent.add('b');
    own(board, 'a', 's1', 's2');
    await board.look(10);
    expect(board.moved).toEqual([]);
    board.silent.delete('b');
    await board.look();
    expect(board.moved).toEqual(['s1 b alice']);
  });

  it('an instance that reports itself late does not wait again for its share', async () => {
    const board = new Board('a', ['a', 'b'], ['s1', 's2', 's3']);
    own(board, 'a', 's1', 's2', 's3');
    await board.look(2);
    board.silent.add('b');
    await board.look(6);
    expect(board.moved).toEqual([]);
    board.silent.delete('b');
    await board.look();
    expect(board.moved).toEqual(['s1 b null']);
  });

  it('two new instances wait side by side', async () => {
    const board = new Board('a', ['a', 'b', 'c'], ['s1', 's2', 's3', 's4', 's5', 's6']);
    own(board, 'a', 's1', 's2', 's3', 's4', 's5', 's6');
    await board.look(8);
    expect(board.moved.splice(0)).toEqual(['s1 b null']);
    own(board, 'b', 's1');
    await board.look();
    expect(board.moved).toEqual(['s2 c null']);
  });

  it('ends a placement when its instance is gone', async () => {
    const board = new Board('a', ['a'], ['s1', 's2']);
    own(board, 'a', 's1');
    board.place('s1', 'gone');
    board.place('s2', 'gone');
    await board.look();
    expect([board.moved, board.ended]).toEqual([[], ['s1 gone']]);
  });
});
