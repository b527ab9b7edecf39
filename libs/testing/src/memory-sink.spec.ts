import { afterEach, describe, it } from '@jest/globals';
import { DittoError } from '#kernel';
import { CHANGE_SINK_CONTRACT, type SinkUnderContract } from './change-sink-contract.ts';
import { MEMORY_REFUSED, MemorySink } from './memory-sink.ts';
import { openSink } from './open-sink.ts';

const opened: MemorySink[] = [];
afterEach(async () => {
  for (const sink of opened.splice(0)) await sink.close();
});

function makeMemory(): SinkUnderContract {
  const sink = new MemorySink();
  opened.push(sink);
  let isAway = false;
  sink.answer = ({ after }) => {
    if (isAway) return Promise.reject(new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true }));
    if (String(after?.[1]).length > 1_000_000) return Promise.reject(new DittoError(MEMORY_REFUSED, 'too large'));
    return Promise.resolve();
  };
  return {
    open: async (options) => {
      await openSink(sink, options);
      return sink;
    },
    has: (layout) => Promise.resolve(sink.has(layout)),
    rows: (layout) => Promise.resolve(sink.rows(layout)),
    cutOff: () => (isAway = true),
    reconnect: () => (isAway = false),
  };
}

describe('MemorySink', () => {
  it.each(Object.entries(CHANGE_SINK_CONTRACT))('%s', (_promise, keeps) => keeps(makeMemory()));
});
