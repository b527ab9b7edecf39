import { describe, expect, it } from '@jest/globals';

import { parsePublishedEvent, type ReceivedMessage } from './published-event.ts';

function received(value: string | null): ReceivedMessage {
  const headers = { 'ditto.id': Buffer.from('uuid:1/0'), 'ditto.version': Buffer.from('ab') };
  return {
    offset: '12',
    timestamp: '1700000000123',
    key: Buffer.from('{"id":1}'),
    value: value === null ? null : Buffer.from(value),
    headers,
  };
}

describe('parsePublishedEvent', () => {
  it('says what a message is about and keeps its text', () => {
    const value =
      '{"before":null,"after":{"id":18446744073709551615},"source":{"name":"shop","db":"d","table":"t","gtid":"u:1","ts_ms":5},"op":"c"}';
    expect(parsePublishedEvent('shop.d.t', 3, received(value))).toEqual({
      topic: 'shop.d.t',
      partition: 3,
      offset: 12,
      publishedMs: 1_700_000_000_123,
      key: '{"id":1}',
      id: 'uuid:1/0',
      version: 'ab',
      op: 'c',
      source: 'shop',
      database: 'd',
      table: 't',
      gtid: 'u:1',
      commitMs: 5,
      value,
    });
  });

  it.each([
    ['a tombstone', null],
    ['text', 'hello'],
    ['JSON of another kind', '{"op":"x"}'],
    ['JSON null', 'null'],
    ['a list', '[1]'],
  ])('passes over %s', (_name, value) => {
    expect(parsePublishedEvent('t', 0, received(value))).toBeNull();
  });
});
