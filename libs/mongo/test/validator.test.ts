import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Row, type RowChange } from '#change-events';
import { type DittoError, silentLogger } from '#kernel';
import { QuarantinedKeys, type RefusedChange } from '#replication';
import { acceptChanges, openSink, testStack, ValidatingProxy } from '#testing';
import { MirrorWriter, type MongoConnection, openMongo } from '../src/index.ts';
import { makeChange, makeColumn, makeLayout, makeTransaction } from './make-changes.ts';
import { MirrorFixture } from './mirror-fixture.ts';

const FORBIDDEN = 'the validator wants none of this';
const columns = [makeColumn('id', 'integer', 'int'), makeColumn('note', 'text', 'varchar')];
const layout = makeLayout(columns, [0], 'validated');
let mirror: MirrorFixture;
let proxy: ValidatingProxy;
let connection: MongoConnection;

beforeAll(async () => {
  const stack = await testStack();
  mirror = await MirrorFixture.open(stack.url('mongo'));
  proxy = await ValidatingProxy.open(stack.endpoint('mongo'), FORBIDDEN);
  const url = new URL(stack.url('mongo'));
  url.host = `127.0.0.1:${proxy.port}`;
  connection = await openMongo({ url: url.href, logger: silentLogger });
});

afterAll(async () => {
  await connection.close();
  proxy.close();
  await mirror.close();
});

it('I6: a document that a validator refuses (code 121) is set aside; others go on; it leads out when it is another', async () => {
  const { source } = mirror;
  const options = { connection, source, isReplaying: () => false, logger: silentLogger, maxBatchChanges: 1 };
  const writer = new MirrorWriter(options);
  const quarantined = new QuarantinedKeys();
  const refused: [RefusedChange, DittoError][] = [];
  await openSink(writer, {
    quarantined,
    refuse: (change, error) => {
      refused.push([change, error]);
      quarantined.add({ ...change.table, key: change.key }, change.version);
      return Promise.resolve();
    },
  });
  await writer.prepareTable(layout);
  let acknowledged = 0;
  const accept = async (...changes: readonly RowChange[]): Promise<void> => {
    acceptChanges(writer, changes, { acknowledge: (count) => (acknowledged += count) });
    await writer.drain(AbortSignal.timeout(20_000));
  };
  const change = (number: number, before: Row | null, after: Row | null): RowChange =>
    makeChange(before, after, { layout, transaction: makeTransaction(number) });
  await accept(change(1, null, [1, 'a']), change(2, null, [2, FORBIDDEN]), change(3, null, [3, 'c']));
  await accept(change(4, [2, FORBIDDEN], [2, 'allowed']), change(5, [1, 'a'], [1, 'b']));
  expect(refused).toHaveLength(1);
  expect(refused[0]).toMatchObject([{ key: '[2]' }, { code: 'DITTO_MONGO_DOCUMENT_REFUSED' }]);
  expect(refused[0]?.[1].message).toContain('code 121');
  const list = async (): Promise<unknown[]> =>
    (await mirror.list('shop.validated')).map(({ row }) => (row as { readonly note: string }).note).sort();
  expect(await list()).toEqual(['b', 'c']);
  const read = { op: 'read', rowIndex: 0xffffffff, readSequence: 1, windowId: 'w/1' } as const;
  await accept({ ...change(5, null, [2, 'allowed']), ...read });
  expect(await list()).toEqual(['allowed', 'b', 'c']);
  expect([quarantined.isEmpty, acknowledged, proxy.refused]).toEqual([true, 6, 1]);
  await writer.close();
});
