import { describe, expect, test } from '@jest/globals';
import { type SourceItem } from '#replication';
import { BatchQueue } from './batch-queue.ts';

const item = (endOffset: number): SourceItem => ({ type: 'end', file: 'binlog.000001', endOffset });

function makeQueue(maxBytes = 1000): { queue: BatchQueue; calls: string[] } {
  const calls: string[] = [];
  const queue = new BatchQueue({ maxBytes, onFull: () => calls.push('full'), onRoom: () => calls.push('room') });
  return { queue, calls };
}

describe('BatchQueue', () => {
  test('hands out together what came together', async () => {
    const { queue } = makeQueue();
    const next = queue.next();
    queue.push(item(1));
    queue.count(10);
    queue.push(item(2));
    queue.count(20);
    expect(await next).toEqual({ items: [item(1), item(2)], bytes: 30 });
  });

  test('signals the writer once when it is full, and once when there is room', async () => {
    const { queue, calls } = makeQueue();
    for (let i = 0; i < 3; i++) {
      queue.push(item(i));
      queue.count(600);
    }
    expect(calls).toEqual(['full']);
    expect(queue.isFull).toBe(true);
    await queue.next();
    expect(calls).toEqual(['full', 'room']);
  });

  test('is never full of events that give nothing', async () => {
    const { queue, calls } = makeQueue();
    for (let i = 0; i < 10; i++) queue.count(600);
    expect(calls).toEqual([]);
    queue.push(item(1));
    queue.count(600);
    expect(calls).toEqual(['full']);
    await queue.next();
    queue.count(600);
    expect(calls).toEqual(['full', 'room']);
  });

  test('hands out what came before an error, then the error, then nothing that came after', async () => {
    const { queue } = makeQueue();
    queue.push(item(1));
    queue.count(1);
    queue.finish(new Error('lost'));
    queue.push(item(2));
    expect((await queue.next())?.items).toEqual([item(1)]);
    await expect(queue.next()).rejects.toThrow('lost');
  });

  test('drops what was not taken when it is discarded', async () => {
    const { queue } = makeQueue();
    queue.push(item(1));
    queue.discard();
    expect(await queue.next()).toBeNull();
  });
});
