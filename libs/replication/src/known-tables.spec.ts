import { describe, expect, it } from '@jest/globals';
import { KnownTables } from './known-tables.ts';
import { layout } from './windowed-read.model.ts';

const keyless = { ...layout, key: [], fingerprint: 'keyless' };
const keyLost = expect.objectContaining({ code: 'DITTO_PIPELINE_KEY_LOST' });

describe('KnownTables', () => {
  it('I6: a table that had a key in the stream, or has rows under one in a sink, has lost it', () => {
    const streamed = new KnownTables([keyless]);
    streamed.learn(keyless);
    streamed.learn(layout);
    expect(() => streamed.learn(keyless)).toThrow(keyLost);
    const mirrored = new KnownTables([keyless], [layout]);
    expect(() => mirrored.learn(keyless)).toThrow(keyLost);
  });

  it('a table that was dropped has not: another one has its name', () => {
    const tables = new KnownTables([keyless], [layout]);
    tables.forget(layout);
    tables.learn(keyless);
    expect(tables.layoutOf('d', 't')).toEqual(keyless);
    expect(tables.layoutOf('d', 't')).not.toBe(keyless); // nothing that is compiled for a layout is kept for its sake
  });

  it('each layout is learned anew when the rows of its table have ended, those of others are not', () => {
    const tables = new KnownTables([]);
    const [again, other] = [{ ...layout }, { ...layout, table: 'other' }];
    for (const one of [layout, again, other]) tables.markPrepared(one);
    tables.unprepare(layout);
    expect([layout, again, other].map((one) => tables.isPrepared(one))).toEqual([false, false, true]);
    tables.markPrepared(again);
    expect([layout, again].map((one) => tables.isPrepared(one))).toEqual([false, true]);
  });
});
