import { describe, expect, it } from '@jest/globals';

import { DittoError } from '#kernel';

import { KAFKA_ERROR_CODES } from './kafka-errors.ts';
import { checkTopicReading } from './topic-reading-check.ts';
import { type MessagePage, type TopicExtent } from './topic-reader.ts';

const never = new AbortController().signal;
const denied = new DittoError(KAFKA_ERROR_CODES.unauthorized, 'denied');

/** Topics with one message in the second partition; `empty` has none. */
function readerOf({ read, settings }: { readonly read?: Error; readonly settings?: Error }) {
  const asked: string[] = [];
  return {
    asked,
    findExtent: (topic: string): Promise<TopicExtent | null> =>
      Promise.resolve({
        id: 'i',
        bounds: [{ start: 5, end: 5 }, topic === 'empty' ? { start: 0, end: 0 } : { start: 3, end: 9 }],
      }),
    async *readForwards(
      topic: string,
      partition: number,
      { start, end }: { start: number; end: number },
    ): AsyncGenerator<MessagePage> {
      asked.push(`${topic}/${partition} ${start}-${end}`);
      await Promise.resolve();
      if (read !== undefined) throw read;
      yield { messages: [], next: end };
    },
    readSettings: (): Promise<ReadonlyMap<string, string>> =>
      settings === undefined ? Promise.resolve(new Map()) : Promise.reject(settings),
  };
}

describe('checkTopicReading', () => {
  it('finds nothing where all may be read, and reads one message of a topic', async () => {
    const reader = readerOf({});
    expect(await checkTopicReading(reader, ['a', 'empty'], never)).toEqual([]);
    expect(reader.asked).toEqual(['a/1 3-4']);
  });

  it('names the right that is missing, and what needs it', async () => {
    const topics = ['a', 'b', 'c', 'd', 'empty'];
    expect(await checkTopicReading(readerOf({ read: denied }), topics, never)).toEqual([
      expect.objectContaining({
        severity: 'warning',
        code: KAFKA_ERROR_CODES.unauthorized,
        message: expect.stringMatching(/^the user has no right Read on a, b, c and 1 more: .*verified/),
      }),
    ]);
    expect(await checkTopicReading(readerOf({ settings: denied }), ['a'], never)).toMatchObject([
      { message: expect.stringMatching(/no right DescribeConfigs on a: .* settings were not checked$/) },
    ]);
  });

  it('reports a server that does not answer, once', async () => {
    const down = new DittoError(KAFKA_ERROR_CODES.unavailable, 'down', { retriable: true });
    expect(await checkTopicReading(readerOf({ read: down }), ['a', 'b'], never)).toMatchObject([
      { severity: 'warning', code: KAFKA_ERROR_CODES.unavailable },
    ]);
  });
});
