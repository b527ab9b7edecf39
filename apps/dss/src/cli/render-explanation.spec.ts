import { expect, it } from '@jest/globals';
import { parseJsonExactly } from '#kernel';
import { renderExplanation } from './render-explanation.ts';

const available = { unavailable: null };
const nothing = { value: null, omittedBytes: 0 };

const explanation = {
  ...{ source: 'eu', table: 'shop.orders', key: { id: 1 }, cause: 'lost', because: 'The log has more.' },
  recorded: { ...available, copied: 'yes', excludeColumns: ['shop.orders.secret'] },
  checkpoint: { ...available, version: '00' },
  row: { ...available, exists: true, value: { id: 1, note: 'x'.repeat(500) }, omittedBytes: 0 },
  document: {
    ...{ ...available, state: 'stored', version: 'ff', gtid: null, damage: null, comparison: 'different' },
    ...{ differences: [{ column: 'note', source: 'a', sink: null }], value: null, omittedBytes: 70_000 },
  },
  messages: {
    ...{ ...available, topic: 'eu.shop.orders' },
    messages: [
      { ...nothing, partition: 2, offset: 9, publishedMs: 0, version: null, op: null },
      {
        partition: 2,
        offset: 8,
        publishedMs: 0,
        version: 'aa',
        op: 'u',
        value: { before: 1, after: { id: 1 } },
        omittedBytes: 0,
      },
    ],
  },
  recent: { unavailable: 'DITTO_DCS_UNAVAILABLE: no', changes: [] },
  log: {
    ...{
      ...available,
      from: { file: 'b.1', offset: 4 },
      to: { file: 'b.2', offset: 5 },
      bytes: 9,
      cutBecause: 'too long',
    },
    ...{ named: null, isAsNamed: null, newer: 12 },
    changes: [
      { ...nothing, op: 'delete', version: 'ee', gtid: 'u:1', file: 'b.2', offset: 4, row: 3, commitMicros: 1_500_000 },
    ],
  },
  reads: { ...available, reads: [] },
  failedEvents: {
    ...available,
    failedEvents: [
      { id: '5', sink: 'kafka', state: 'open', code: 'DITTO_X', message: 'x'.repeat(300), laterChanges: 7 },
    ],
  },
  mismatches: {
    ...available,
    mismatches: [
      {
        id: '7',
        sink: 'mongo',
        kind: 'missing',
        state: 'open',
        lastSeenMs: 0,
        repairs: [{ id: '3', state: 'failed', reason: 'no DSS' }],
      },
    ],
  },
};

it('shows one row on a page', () => {
  expect(renderExplanation(parseJsonExactly(JSON.stringify(explanation)))).toBe(`eu shop.orders {"id":1}
CAUSE: lost. The log has more.

MySQL now
  {"id":1,"note":"${'x'.repeat(184)}…
MongoDB now
  version ff, GTID none
  (70000 bytes, left out)
  compared with the row: different
    note: MySQL a, MongoDB absent
Kafka, newest first
  2/9 1970-01-01T00:00:00.000Z empty without a version
  2/8 1970-01-01T00:00:00.000Z u aa {"id":1}
DCS, newest first
  not available: DITTO_DCS_UNAVAILABLE: no
Binary log
  read from b.1:4 to b.2:5; cut: too long
  12 newer changes of the key, the first ones:
    1970-01-01T00:00:01.500Z delete b.2:4 row 3 GTID u:1
Mismatches
  7 mongo: missing, open, last seen 1970-01-01T00:00:00.000Z
    repair 3: failed, no DSS
Failed events
  5 kafka: open, 7 later changes held back, DITTO_X: ${'x'.repeat(200)}…
Reads under way
  none
Table
  copied: yes; excludeColumns: shop.orders.secret
Checkpoint
  00`);
});

it('keeps every digit, and says what is not there', () => {
  const absent = { ...explanation.document, state: 'absent' };
  const text = JSON.stringify({ ...explanation, document: absent, row: { ...explanation.row, exists: false } });
  const page = renderExplanation(parseJsonExactly(text.replace('"id":1', '"id":18446744073709551615')));
  expect(page).toContain('eu shop.orders {"id":18446744073709551615}');
  expect(page).toContain('no such row');
  expect(page).toContain('no document');
});
