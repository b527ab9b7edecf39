import { describe, expect, test } from '@jest/globals';
import { DittoError, silentLogger } from '#kernel';
import { type PublishedEvent } from '#kafka';
import { type RecentEvent, type RecentEventGap } from '#redis';
import { EventIntake, MAX_VALUE_BYTES } from './event-intake.ts';

const { signal } = new AbortController();

function createEvent(offset: number, change: Partial<PublishedEvent> = {}): PublishedEvent {
  const value = JSON.stringify({ op: 'c', source: { db: 'store', table: 'orders' } });
  const place = {
    topic: 'shop.store.orders',
    partition: 0,
    offset,
    source: 'shop',
    database: 'store',
    table: 'orders',
  };
  return {
    ...place,
    publishedMs: 2,
    commitMs: 1,
    key: `{"id":${offset}}`,
    id: 'i',
    version: 'v',
    op: 'c',
    gtid: 'u:1',
    value,
    ...change,
  };
}

class Recorder {
  readonly kept: (RecentEvent & { readonly table: string })[] = [];
  readonly gaps: (RecentEventGap & { readonly table: string })[] = [];
  failures = 0;

  append(_source: string, table: string, events: readonly RecentEvent[]): Promise<void> {
    if (this.failures-- > 0)
      return Promise.reject(new DittoError('DITTO_REDIS_UNAVAILABLE', 'down', { retriable: true }));
    this.kept.push(...events.map((event) => ({ ...event, table })));
    return Promise.resolve();
  }

  appendGap(_source: string, table: string, gap: RecentEventGap): Promise<void> {
    this.gaps.push({ ...gap, table });
    return Promise.resolve();
  }
}

describe('EventIntake', () => {
  function createIntake() {
    const keeper = new Recorder();
    const counts: [string, string, number][] = [];
    const intake = new EventIntake({
      keeper,
      logger: silentLogger,
      onKept: (source, events) => counts.push(['kept', source, events]),
      onSkipped: (source, events) => counts.push(['skipped', source, events]),
      nowMs: () => 7,
    });
    return { intake, keeper, counts };
  }

  test('keeps events under their table, in order', async () => {
    const { intake, keeper, counts } = createIntake();
    await intake.accept([createEvent(1), createEvent(2)], signal);
    await intake.accept([], signal);
    await intake.tellGaps(signal);
    expect(keeper.kept.map(({ table, offset }) => [table, offset])).toEqual([
      ['store.orders', 1],
      ['store.orders', 2],
    ]);
    expect(keeper.gaps).toEqual([]);
    expect(counts).toEqual([['kept', 'shop', 2]]);
  });

  test('does not put rows of two tables under one name', async () => {
    const { intake, keeper } = createIntake();
    await intake.accept([createEvent(1, { topic: 's.a_x002Eb.c', database: 'a.b', table: 'c' })], signal);
    await intake.accept([createEvent(2, { topic: 's.a.b_x002Ec', database: 'a', table: 'b.c' })], signal);
    expect(keeper.kept.map(({ table }) => table)).toEqual(['`a.b`.c', 'a.`b.c`']);
  });

  test('says once, by table, how many events were left out', async () => {
    const { intake, keeper, counts } = createIntake();
    const other = { topic: 'shop._x0041.t', table: 't', database: '_x0041' };
    await intake.accept([createEvent(1, other)], signal);
    intake.noteJump(other.topic, 4);
    intake.noteJump(other.topic, 6);
    intake.noteJump('shop.my_x0020db.t', 5);
    await intake.tellGaps(signal);
    await intake.tellGaps(signal);
    expect(keeper.gaps).toEqual([
      { table: '_x0041.t', skipped: 10, fromMs: 7, toMs: 7 },
      { table: '`my db`.t', skipped: 5, fromMs: 7, toMs: 7 },
    ]);
    expect(counts.filter(([what]) => what === 'skipped')).toEqual([
      ['skipped', 'shop', 4],
      ['skipped', 'shop', 6],
      ['skipped', 'shop', 5],
    ]);
  });

  test('leaves out a value that is too large for the window, and says how large it was', async () => {
    const { intake, keeper } = createIntake();
    const value = 'ä'.repeat(MAX_VALUE_BYTES);
    await intake.accept([createEvent(1, { value })], signal);
    expect(keeper.kept[0]).toMatchObject({ value: null, omittedBytes: 2 * MAX_VALUE_BYTES });
  });

  test('waits for Redis rather than losing events', async () => {
    const { intake, keeper } = createIntake();
    keeper.failures = 1;
    await intake.accept([createEvent(1)], signal);
    expect(keeper.kept).toHaveLength(1);
  });
});
