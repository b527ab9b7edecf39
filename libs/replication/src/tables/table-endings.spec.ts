import { describe, expect, it } from '@jest/globals';
import { describeKey, type TableChange } from '#change-events';
import { MemorySink } from '#testing';
import { createRecords, layout } from '../../test/windowed-read-model.ts';
import { KnownTables } from './known-tables.ts';
import { TableEndings } from './table-endings.ts';
import { TableKeys } from './table-keys.ts';

describe('TableEndings', () => {
  it.each([
    ['truncate', describeKey(layout)],
    ['drop', undefined],
  ] as const)('a table that came to its end by %s is known afterwards by its key: %s', async (op, key) => {
    const tables = new KnownTables([layout]);
    const keys = new TableKeys(createRecords(), () => '');
    await keys.keep(layout, true);
    tables.markPrepared(layout);
    const steps: string[] = [];
    const sink = new MemorySink();
    sink.applyTableChange = (change) => Promise.resolve(void steps.push(change.op));
    const drain = (): Promise<void> => Promise.resolve(void steps.push('drain'));
    let failures = 1;
    const refusedChanges = {
      endTable: async (name: string) => {
        await new Promise((resolve) => setImmediate(resolve));
        steps.push(`quarantine of ${name}`);
        if (failures-- > 0) throw new Error('down');
      },
    };
    const hold = (action: () => Promise<void>): Promise<void> => action().catch(action);
    const endings = new TableEndings({
      ...{ sinks: [sink], refusedChanges, tables, keys, drain, hold },
    });
    const transaction = { versionPrefix: '0'.repeat(28) };
    await endings.end([{ op, layout, rowIndex: 0, transaction } as unknown as TableChange]);
    expect(steps).toEqual(['drain', op, 'quarantine of memory', 'quarantine of memory']);
    expect([keys.keyOf(layout), tables.isPrepared(layout)]).toEqual([key, false]);
  });
});
