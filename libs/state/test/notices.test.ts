import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type StateDatabase, StateHistory, StateNoticeStore } from '#state';
import { uniqueName } from '#testing';
import { openStateDatabase } from './state-server.ts';

describe('notices', () => {
  let database: StateDatabase;
  let notices: StateNoticeStore;

  beforeAll(async () => {
    database = await openStateDatabase();
    notices = new StateNoticeStore(database);
  });
  afterAll(() => database.close());

  async function add(webhook: string, ...times: readonly number[]): Promise<void> {
    await notices.add(
      times.map((createdAtMs, index) => ({
        ...{ id: uniqueName(`n${index}`), webhook, event: 'source.stopped', source: 'eu', body: '{}', createdAtMs },
        uniqueKey: null,
      })),
    );
  }

  test('are claimed by one worker, and due again when it says nothing', async () => {
    await add('pager', 1000, 2000);
    await add('another', 3000);
    expect([...(await notices.listWebhooks(2500))]).toEqual(['pager']);
    expect([...(await notices.listWebhooks(3000))].sort()).toEqual(['another', 'pager']);
    const due = await notices.listDue('pager', 5000, 10);
    expect(due).toMatchObject([
      { createdAtMs: 1000, nextAtMs: 1000, attempts: 0 },
      { createdAtMs: 2000, nextAtMs: 2000, attempts: 0 },
    ]);
    const claims = await Promise.all(due.slice(0, 1).flatMap((one) => [1, 2].map(() => notices.claim(one, 9000))));
    expect(claims.sort()).toEqual([false, true]);
    expect(await notices.listDue('pager', 5000, 10)).toMatchObject([{ createdAtMs: 2000 }]);
    const [, again] = await notices.listDue('pager', 9000, 10);
    expect(again).toMatchObject({ createdAtMs: 1000, nextAtMs: 9000, attempts: 1 });
    await notices.delay(again?.id ?? '', 'it answered 503', 20_000);
    await notices.end(due[1]?.id ?? '', null, 10_000);
    expect(await notices.listWebhooks(19_999)).toEqual(['another']);
    expect(await notices.listDue('pager', 20_000, 10)).toMatchObject([{ id: again?.id, attempts: 1 }]);
  });

  test('are removed when they have ended long ago, and when nobody has tried to deliver them for long', async () => {
    await add('left', 100_000, 200_000);
    await add('ended', 100_000);
    const [ended] = await notices.listDue('ended', 100_000, 1);
    await notices.end(ended?.id ?? '', null, 110_000);
    const history = new StateHistory(database);
    while ((await history.sweepNotices(150_000)) > 0);
    expect(await notices.listDue('left', 300_000, 10)).toMatchObject([{ createdAtMs: 200_000 }]);
    expect(await history.sweepNotices(150_000)).toBe(0);
  });
});
