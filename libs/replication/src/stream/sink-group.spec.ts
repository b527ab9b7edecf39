import { describe, expect, it } from '@jest/globals';
import { describeKey, type TableLayout } from '#change-events';
import { silentLogger } from '#kernel';
import { MemorySink } from '#testing';
import { createRecords, layout } from '../../test/windowed-read-model.ts';
import { KnownTables } from '../tables/known-tables.ts';
import { TableKeys } from '../tables/table-keys.ts';
import { SinkGroup } from './sink-group.ts';

const other: TableLayout = { ...layout, key: [1], fingerprint: 'the other column is the key' };

describe('SinkGroup', () => {
  it('I4: prepares nothing for a layout with another key than the rows that the sinks have', async () => {
    const sink = new MemorySink();
    const tables = new KnownTables([layout]);
    const keys = new TableKeys(createRecords(), () => '');
    const hold = (action: () => Promise<void>): Promise<void> => action();
    const group = new SinkGroup({ sinks: [sink], tables, keys, logger: silentLogger, hold });
    await group.prepare(layout);
    await group.prepare(other);
    expect([tables.isPrepared(layout), tables.isPrepared(other)]).toEqual([true, false]);
    expect([sink.prepared.length, keys.keyOf(other)]).toEqual([1, describeKey(layout)]);
    // their rows have ended
    await keys.keep(other, true);
    await group.prepare(other);
    expect([sink.prepared.length, tables.isPrepared(other)]).toEqual([2, true]);
  });
});
