import { expect, it } from '@jest/globals';

import { readChangedKey } from './changed-key.ts';

const key = Buffer.from('{"id":1}');
const envelope = (op: string): Buffer =>
  Buffer.from(`{"before":null,"after":{"id":1},"source":{},"op":"${op}","ts_ms":1}`);
const message = { offset: '7', timestamp: '1700000000000' };

it.each([
  ['a create', key, envelope('c')],
  ['an update', key, envelope('u')],
  ['a delete', key, envelope('d')],
  ['a tombstone', key, null],
  ['what another program has published', key, Buffer.from('none')],
])('%s changes its key', (_, of, value) => {
  const changed = { topic: 's.d.t', partition: 3, key: '{"id":1}', publishedMs: 1_700_000_000_000 };
  expect(readChangedKey('s.d.t', 3, { ...message, key: of, value })).toEqual(changed);
});

it.each([
  ['a read', key, envelope('r')],
  ['the end of a table', Buffer.from('null'), envelope('t')],
  ['a row without a key', null, envelope('c')],
])('%s changes none', (_, of, value) => {
  expect(readChangedKey('s.d.t', 3, { ...message, key: of, value })).toBeNull();
});
