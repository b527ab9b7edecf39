import { beforeEach, describe, expect, it } from '@jest/globals';
import { RecentKeys, type RecentKeysOptions } from './recent-keys.ts';

const orders = { database: 'shop', table: 'orders' };
const lines = { database: 'shop', table: 'lines' };
const anyTable = (): boolean => true;

let nowMs = 0;
let leftOut = 0;

beforeEach(() => {
  nowMs = 0;
  leftOut = 0;
});

function create(options: Partial<RecentKeysOptions> = {}): RecentKeys {
  const onLeftOut = (): void => {
    leftOut++;
  };
  return new RecentKeys({ keysPerSecond: 100, settleMs: 1000, onLeftOut, nowMs: () => nowMs, ...options });
}

function takeAll(keys: RecentKeys, most = 1000): string[] {
  const taken: string[] = [];
  for (let batch = keys.take(anyTable, most); batch !== null; batch = keys.take(anyTable, most))
    taken.push(...batch.keys.map(({ key }) => key));
  return taken.sort();
}

describe('keys that changed', () => {
  it('are given once they have rested, and only once', () => {
    const keys = create();
    keys.note(orders, 'a');
    nowMs = 900;
    expect(takeAll(keys)).toEqual([]);
    nowMs = 1250;
    expect(takeAll(keys)).toEqual(['a']);
    expect(takeAll(keys)).toEqual([]);
    expect(keys.status().waiting).toBe(0);
  });

  it('wait again when they change again, also when that is noticed twice', () => {
    const keys = create();
    keys.note(orders, 'a');
    nowMs = 800;
    keys.note(orders, 'a');
    keys.note(orders, 'a');
    keys.note(orders, 'b');
    nowMs = 1500;
    expect(takeAll(keys)).toEqual([]);
    nowMs = 2050;
    expect(takeAll(keys)).toEqual(['a', 'b']);
  });

  it('all the time are given nevertheless, with what is known of their beginning', () => {
    const keys = create();
    let given: number | null = null;
    for (nowMs = 0; given === null && nowMs < 10_000; nowMs += 50) {
      keys.note(orders, 'hot');
      if (keys.take(anyTable, 10) !== null) given = nowMs;
    }
    expect(given).toBeGreaterThanOrEqual(3000);
    expect(given).toBeLessThanOrEqual(4300);
  });

  it('are given table by table: the one that waits longest and is free, at most so many at once', () => {
    const keys = create();
    keys.note(lines, 'a');
    nowMs = 300;
    for (const key of ['a', 'b', 'c']) keys.note(orders, key);
    nowMs = 2000;
    expect(keys.take(({ table }) => table === 'orders', 2)).toMatchObject({ table: orders, keys: [{}, {}] });
    expect(keys.take(anyTable, 10)).toMatchObject({ table: lines, keys: [{ key: 'a', sinceMs: 0 }] });
    expect(keys.take(anyTable, 10)).toMatchObject({ table: orders, keys: [{ sinceMs: 300 }] });
    expect(keys.take(anyTable, 10)).toBeNull();
  });

  it('are kept apart by their table', () => {
    const keys = create();
    keys.note({ database: 'a', table: 'b","c' }, 'd');
    keys.note({ database: 'a', table: 'b' }, 'c","d');
    nowMs = 2000;
    expect(takeAll(keys)).toEqual(['c","d', 'd']);
  });

  it('say how far they are behind', () => {
    const keys = create();
    nowMs = 500;
    keys.note(orders, 'a');
    nowMs = 1700;
    expect(keys.status()).toEqual({ waiting: 1, behindMs: 0 });
    nowMs = 5000;
    expect(keys.status()).toEqual({ waiting: 1, behindMs: 3250 });
  });
});

describe('keys that could not be judged', () => {
  it('are given again after they have rested, unless they changed meanwhile', () => {
    const keys = create();
    for (const key of ['a', 'b']) keys.note(orders, key);
    nowMs = 1500;
    const taken = keys.take(anyTable, 10)?.keys ?? [];
    keys.note(orders, 'b');
    expect(keys.putBack(orders, taken)).toBe(0);
    expect(keys.status().waiting).toBe(2);
    expect(takeAll(keys)).toEqual([]);
    nowMs = 2800;
    expect(takeAll(keys)).toEqual(['a', 'b']);
  });

  it('are given up after a minute', () => {
    const keys = create();
    keys.note(orders, 'a');
    let givenUp = 0;
    let times = 0;
    for (nowMs = 0; givenUp === 0 && nowMs < 100_000; nowMs += 500) {
      const taken = keys.take(anyTable, 10);
      if (taken === null) continue;
      times++;
      givenUp = keys.putBack(orders, taken.keys);
    }
    expect(nowMs).toBeGreaterThanOrEqual(60_000);
    expect(nowMs).toBeLessThan(63_000);
    expect(times).toBeGreaterThan(20);
    expect(keys.status().waiting).toBe(0);
  });

  it('are tried again after a long rest too: the minute begins when they are given first', () => {
    const keys = create({ settleMs: 30_000 });
    keys.note(orders, 'a');
    let times = 0;
    for (nowMs = 0; nowMs < 300_000; nowMs += 500) {
      const taken = keys.take(anyTable, 10);
      if (taken === null) continue;
      times++;
      keys.putBack(orders, taken.keys);
    }
    expect(times).toBe(3);
    expect(keys.status().waiting).toBe(0);
  });
});

describe('more keys than can be verified', () => {
  it('are sampled, each with the same chance; what is left out is counted', () => {
    const chosen = new Map<number, number>();
    for (let run = 0; run < 400; run++) {
      nowMs = 0;
      const keys = create({ keysPerSecond: 10 });
      for (let key = 0; key < 200; key++) keys.note(orders, String(key));
      nowMs = 2000;
      const taken = takeAll(keys);
      expect(taken).toHaveLength(20);
      for (const key of taken) {
        const tenth = Math.floor(Number(key) / 20);
        chosen.set(tenth, (chosen.get(tenth) ?? 0) + 1);
      }
    }
    expect(leftOut).toBe(400 * 180);
    // 800 of each tenth are expected; five standard deviations are 134
    for (const count of chosen.values()) expect(Math.abs(count - 800)).toBeLessThan(134);
    expect(chosen.size).toBe(10);
  });

  it('are given at the rate, whatever comes, and memory is bounded', () => {
    const keys = create({ keysPerSecond: 100 });
    let given = 0;
    let mostWaiting = 0;
    for (nowMs = 0; nowMs < 20_000; nowMs += 10) {
      for (let i = 0; i < 20; i++) keys.note(orders, `${nowMs}/${i}`);
      mostWaiting = Math.max(mostWaiting, keys.status().waiting);
      given += takeAll(keys).length;
    }
    expect(mostWaiting).toBeLessThanOrEqual(600);
    // a burst of two seconds at the beginning; the last ones have not rested yet
    expect(given).toBeLessThanOrEqual(2200);
    expect(given).toBeGreaterThanOrEqual(1900);
    expect(given + leftOut + keys.status().waiting).toBe(40_000);
  });

  it('are given at the rate however long they settle', () => {
    const keys = create({ keysPerSecond: 100, settleMs: 20_000 });
    let given = 0;
    for (nowMs = 0; nowMs < 60_000; nowMs += 10) {
      keys.note(orders, String(nowMs));
      given += takeAll(keys).length;
    }
    expect(leftOut).toBe(0);
    expect(given).toBeGreaterThanOrEqual(3900);
  });

  it('keep no more than five seconds of them, and those that settle, while nothing is verified', () => {
    const keys = create({ keysPerSecond: 100 });
    for (nowMs = 0; nowMs < 60_000; nowMs += 10) keys.note(orders, String(nowMs));
    expect(keys.status().waiting).toBe(600);
    expect(leftOut).toBe(5400);
  });
});
