import { describe, expect, it } from '@jest/globals';
import { mergeNewest, type StreamEntry } from './merge-newest.ts';

/** Tables with one entry every `tables` milliseconds, all interleaved. */
function createWindow(tables: number, perTable: number) {
  const streams = new Map<string, StreamEntry[]>();
  for (let table = 0; table < tables; table++)
    streams.set(
      `t${table}`,
      Array.from({ length: perTable }, (_, n) => {
        const ms = 1_000_000 - n * tables - table;
        return { id: `${ms}-0`, key: String(ms), entry: '{}' };
      }),
    );
  let read = 0;
  const readEvents = (table: string, end: string): Promise<readonly StreamEntry[]> => {
    const stream = streams.get(table) ?? [];
    const from = end === '+' ? 0 : stream.findIndex(({ id }) => `(${id}` === end) + 1;
    const page = stream.slice(from, from + 20);
    read += page.length;
    return Promise.resolve(page);
  };
  const newest = [...streams].map(([table, [first]]) => ({ table, newestMs: Number(first?.key) }));
  return { tables: newest, readEvents, countRead: () => read };
}

const all = () => true;

describe('mergeNewest', () => {
  it.each([1, 19, 20, 21, 500])('gives the newest %d of all tables, in order', async (limit) => {
    const { tables, readEvents } = createWindow(7, 60);
    const { events, isCutShort } = await mergeNewest({ tables, readEvents, limit, mostRead: 10_000, matches: all });
    const wanted = Array.from({ length: Math.min(limit, 7 * 60) }, (_, n) => String(1_000_000 - n));
    expect(events.map(({ key }) => key)).toEqual(wanted);
    expect(isCutShort).toBe(false);
  });

  it('reads by the limit, not by the number of tables', async () => {
    const { tables, readEvents, countRead } = createWindow(1_000, 40);
    const { events } = await mergeNewest({ tables, readEvents, limit: 10, mostRead: 10_000, matches: all });
    expect(events).toHaveLength(10);
    expect(countRead()).toBeLessThanOrEqual(11 * 20);
  });

  it('gives up a search that finds too little, and reports it', async () => {
    const { tables, readEvents, countRead } = createWindow(100, 400);
    const matches = (key: string) => key === '960001';
    const { events, isCutShort } = await mergeNewest({ tables, readEvents, limit: 1, mostRead: 5_000, matches });
    expect([events, isCutShort]).toEqual([[], true]);
    expect(countRead()).toBeLessThanOrEqual(5_020);
  });
});
