import { describe, expect, it } from '@jest/globals';
import { SourceLoad, type LoadSample } from '../ports/source-load.ts';
import { Pacer, type PacerOptions } from './pacer.ts';

const NEVER = new AbortController().signal;

class GivenLoad extends SourceLoad {
  sample: LoadSample = { runningThreads: 1, lagMs: null };
  looks = 0;

  override measure(): Promise<LoadSample> {
    this.looks++;
    return Promise.resolve(this.sample);
  }
}

/** A pacer whose clock moves by its own waits, and by what reads take. */
class Pacing {
  nowMs = 0;
  readonly load = new GivenLoad();
  readonly pacer: Pacer;
  /** Called when the pacer has waited. */
  onPause: () => void = () => undefined;

  constructor(options: Partial<PacerOptions> = {}) {
    this.pacer = new Pacer({
      rowsPerSecond: 0,
      queryMs: 500,
      mostRunningThreads: 0,
      mostLagMs: 0,
      mostRows: 10_000,
      load: this.load,
      nowMs: () => this.nowMs,
      pause: (ms, signal) => {
        signal.throwIfAborted();
        this.nowMs += ms;
        this.onPause();
        return Promise.resolve();
      },
      ...options,
    });
  }

  /** One read that finds as many rows as it asks for, or `found`. */
  async read(msPerRow: number, mostRows = 10_000, found?: number): Promise<number> {
    const turn = await this.pacer.begin(mostRows, NEVER);
    const rows = found ?? turn.rows;
    const ms = rows * msPerRow;
    this.nowMs += ms;
    turn.end({ rows, ms });
    return turn.rows;
  }
}

describe('rows per second', () => {
  it('hold over many reads, however large each is', async () => {
    const pacing = new Pacing({ rowsPerSecond: 1000, mostRows: 300 });
    let rows = 0;
    while (rows < 100_000) rows += await pacing.read(0.01);
    // a second's worth may be read at once; the last read waits for the first of its rows only
    expect(rows - 300).toBeLessThanOrEqual(pacing.nowMs + 1000);
    expect(rows).toBeGreaterThan(0.98 * pacing.nowMs);
  });

  it('hold over reads that run side by side', async () => {
    const pacing = new Pacing({ rowsPerSecond: 1000, mostRows: 300 });
    let rows = 0;
    const readMany = async (): Promise<void> => {
      while (rows < 50_000) rows += await pacing.read(0.01);
    };
    await Promise.all([readMany(), readMany(), readMany()]);
    expect(rows - 300).toBeLessThanOrEqual(pacing.nowMs + 1000);
  });

  it('count the rows that were found, not those that were asked for', async () => {
    const pacing = new Pacing({ rowsPerSecond: 1000 });
    for (let read = 0; read < 100; read++) await pacing.read(0, 256, 1);
    expect(pacing.nowMs).toBe(0);
  });

  it('below the size of one read bound that size', async () => {
    const pacing = new Pacing({ rowsPerSecond: 5 });
    expect(await pacing.read(0)).toBe(5);
    await pacing.read(0);
    expect(pacing.nowMs).toBeGreaterThanOrEqual(200);
  });

  it('do not pile up during a rest beyond a second', async () => {
    const pacing = new Pacing({ rowsPerSecond: 1000, mostRows: 1000, firstRows: 1000 });
    pacing.nowMs = 1_000_000;
    let rows = 0;
    while (rows < 3000) rows += await pacing.read(0);
    expect(pacing.nowMs).toBeGreaterThanOrEqual(1_001_000);
  });
});

describe('the time of a query', () => {
  it('is reached by doubling, and held', async () => {
    const pacing = new Pacing();
    const asked: number[] = [];
    for (let read = 0; read < 10; read++) asked.push(await pacing.read(0.1));
    expect(asked.slice(0, 3)).toEqual([256, 512, 1024]);
    expect(asked.slice(-3)).toEqual([5000, 5000, 5000]);
  });

  it('that was too long makes the next read smaller at once', async () => {
    const pacing = new Pacing({ firstRows: 5000 });
    await pacing.read(1);
    expect(await pacing.read(1)).toBe(500);
  });

  it('never makes it smaller than one row', async () => {
    const pacing = new Pacing();
    await pacing.read(100_000);
    expect(await pacing.read(100_000)).toBe(1);
    await pacing.read(1);
    expect(await pacing.read(1)).toBe(2);
  });

  it('says nothing when few rows were found quickly', async () => {
    const pacing = new Pacing();
    await pacing.read(0.01, 10_000, 3);
    expect(await pacing.read(0.01)).toBe(256);
  });

  it('of a small read does not make a large one small', async () => {
    const pacing = new Pacing({ firstRows: 4000 });
    await pacing.read(1, 1);
    expect(await pacing.read(0.1)).toBe(4000);
  });

  it('that is not known changes nothing', async () => {
    const { pacer } = new Pacing();
    const turn = await pacer.begin(10_000, NEVER);
    turn.end({ rows: turn.rows, ms: null });
    expect(pacer.status().rows).toBe(256);
  });
});

describe('a busy server', () => {
  it.each([
    ['replica lag', { runningThreads: 1, lagMs: 10_001 }],
    ['running threads', { runningThreads: 33, lagMs: 0 }],
  ] as const)('pauses reads by %s until it is not busy any more', async (pausedBy, sample) => {
    const pacing = new Pacing({ mostRunningThreads: 32, mostLagMs: 10_000 });
    pacing.load.sample = sample;
    const states: unknown[] = [];
    pacing.onPause = () => {
      states.push(pacing.pacer.status().pausedBy);
      if (states.length === 5) pacing.load.sample = { runningThreads: 32, lagMs: 10_000 };
    };
    await pacing.read(0);
    expect(states).toEqual(Array.from({ length: 5 }, () => pausedBy));
    expect(pacing.nowMs).toBe(5000);
    expect(pacing.pacer.status()).toMatchObject({ pausedBy: null, load: { runningThreads: 32 } });
  });

  it('is asked once a second, however many reads there are', async () => {
    const pacing = new Pacing({ mostRunningThreads: 32 });
    for (let read = 0; read < 1000; read++) await pacing.read(10, 1);
    expect(pacing.load.looks).toBe(10);
    await Promise.all(Array.from({ length: 20 }, () => pacing.pacer.ready(NEVER)));
    expect(pacing.load.looks).toBe(11);
  });

  it('is not asked when nothing depends on it', async () => {
    const pacing = new Pacing();
    await pacing.read(0);
    expect(pacing.load.looks).toBe(0);
  });

  it('that does not say how far it is behind pauses nothing', async () => {
    const pacing = new Pacing({ mostLagMs: 1 });
    pacing.load.sample = { runningThreads: 1, lagMs: null };
    await pacing.read(0);
    expect(pacing.nowMs).toBe(0);
  });

  it('that does not answer fails the wait; the next one asks again', async () => {
    const pacing = new Pacing({ mostLagMs: 1 });
    const { load, pacer } = pacing;
    const measure = load.measure.bind(load);
    load.measure = () => Promise.reject(new Error('gone'));
    await expect(pacer.begin(1, NEVER)).rejects.toThrow('gone');
    load.measure = measure;
    await expect(pacer.begin(1, NEVER)).resolves.toMatchObject({ rows: 1 });
  });
});

describe('an abort', () => {
  const lasting = { pause: undefined, nowMs: undefined } as unknown as Partial<PacerOptions>;

  it.each([
    ['for rows', { rowsPerSecond: 1 }, { runningThreads: 1, lagMs: null }],
    ['for the server', { mostLagMs: 1 }, { runningThreads: 1, lagMs: 2 }],
  ])('ends a wait %s at once', async (_, options, sample) => {
    const { pacer, load } = new Pacing({ ...options, ...lasting });
    load.sample = sample;
    const abort = new AbortController();
    const waiting = (async () => {
      for (;;) await pacer.begin(1000, abort.signal);
    })();
    setTimeout(() => abort.abort(new Error('stopped')), 20);
    const startedAt = performance.now();
    await expect(waiting).rejects.toThrow('stopped');
    expect(performance.now() - startedAt).toBeLessThan(500);
  });

  it('ends the wait for an answer of the server', async () => {
    const { pacer, load } = new Pacing({ mostLagMs: 1 });
    load.measure = () => new Promise(() => undefined);
    const abort = new AbortController();
    const waiting = pacer.begin(1, abort.signal);
    abort.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
  });

  it('before the wait takes no turn', async () => {
    const pacing = new Pacing({ rowsPerSecond: 10 });
    await expect(pacing.pacer.begin(10, AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
    expect(await pacing.read(0)).toBe(10);
    expect(pacing.nowMs).toBe(0);
  });
});
