import { type Row, type TableLayout } from '#change-events';
import { silentLogger } from '#kernel';
import { CHANGE_SINK_CONTRACT, FaultProxy, openSink, type SinkUnderContract, testStack } from '#testing';
import { afterEach, describe, it } from '@jest/globals';
import { MirrorWriter, openMongo } from '../src/index.ts';
import { MirrorFixture } from './mirror-fixture.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function makeMirror(): Promise<SinkUnderContract> {
  const stack = await testStack();
  const mirror = await MirrorFixture.open(stack.url('mongo'));
  const proxy = await FaultProxy.open(stack.endpoint('mongo'));
  const url = new URL(stack.url('mongo'));
  url.host = `${proxy.host}:${proxy.port}`;
  const connection = await openMongo({ url: url.href, logger: silentLogger, serverSelectionTimeoutMs: 500 });
  closers.push(
    () => mirror.close(),
    () => proxy.close(),
    () => connection.close(),
  );
  const { source } = mirror;
  const collectionOf = ({ database, table }: TableLayout): string => `${database}.${table}`;
  return {
    open: async (options) => {
      const writer = new MirrorWriter({ connection, source, isReplaying: () => false, logger: silentLogger });
      closers.push(() => writer.close());
      await openSink(writer, options);
      return writer;
    },
    has: (layout) => mirror.db.listCollections({ name: collectionOf(layout) }).hasNext(),
    rows: async (layout) =>
      (await mirror.list(collectionOf(layout))).flatMap(({ row }): Row[] => {
        if (row === undefined) return [];
        const { id, note } = row as { readonly id: number; readonly note: string };
        return [[id, note]];
      }),
    cutOff: () => proxy.cut(),
    reconnect: () => proxy.restore(),
  };
}

describe('MirrorWriter', () => {
  it.each(Object.entries(CHANGE_SINK_CONTRACT))('%s', async (_promise, keeps) => keeps(await makeMirror()), 60_000);
});
