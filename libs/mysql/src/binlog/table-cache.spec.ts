import { expect, test } from '@jest/globals';
import { type TableLayout } from '#change-events';
import { tableMap } from '../../test/log-events.ts';
import { columnRules } from '../layout/column-choice.ts';
import { HEADER_BYTES } from './event-header.ts';
import { TableCache } from './table-cache.ts';
import { readTableId } from './table-map.ts';

const facts = { charsetOfCollation: new Map<number, string>(), maxLength: new Map(), tables: new Map() };

function makeCache(): (table: string) => TableLayout {
  const cache = new TableCache({ includes: () => true, facts, kind: 'mysql', rules: columnRules({}) });
  return (table) => {
    const bytes = tableMap(table, 0);
    const event = { bytes, start: 0, body: HEADER_BYTES, end: bytes.length - 4 };
    cache.learn(event);
    const reader = cache.reader(readTableId(event));
    if (reader?.included !== true) throw new Error('not included');
    return reader.layout;
  };
}

test('a table has one layout object, also when its map comes again under another id', () => {
  const learn = makeCache();
  const layout = learn('orders');
  learn('others');
  expect(learn('orders')).toBe(layout);
});

test('I9: of many tables those are kept that came up last', () => {
  const learn = makeCache();
  const [forgotten, kept] = [learn('t0000'), learn('t0001')];
  for (let i = 2; i < 5000; i++) learn(`t${String(i).padStart(4, '0')}`);
  expect(learn('t0001')).toBe(kept);
  learn('t5000');
  expect(learn('t0001')).toBe(kept);
  expect(learn('t0000')).not.toBe(forgotten);
});
