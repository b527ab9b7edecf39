import { afterEach, describe, expect, it } from '@jest/globals';
import { type DittoConfig } from '#configuration';
import { Shutdown } from '../service/shutdown.ts';
import { type NewNotice, NoticeStore } from './notice-store.ts';
import { Notifier } from './notifier.ts';

class MemoryStore extends NoticeStore {
  readonly added: NewNotice[] = [];
  isDown = false;
  tries = 0;

  add(notices: readonly NewNotice[]): Promise<void> {
    this.tries++;
    if (this.isDown) return Promise.reject(new Error('down'));
    this.added.push(...notices);
    return Promise.resolve();
  }
}

const config = {
  webhooks: [
    { name: 'all', events: ['source.stopped', 'source.switched', 'mismatches.found'] },
    { name: 'stops', events: ['source.stopped'] },
  ],
} as unknown as DittoConfig;

let shutdown: Shutdown;
let notifier: Notifier;

function start(store: NoticeStore): Notifier {
  shutdown = new Shutdown();
  notifier = new Notifier(config, store, shutdown);
  notifier.onApplicationBootstrap();
  return notifier;
}

afterEach(() => notifier.onModuleDestroy());

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

const stopped = { event: 'source.stopped', source: 'eu', details: { error: { code: 'C' } } } as const;

describe('Notifier', () => {
  it('keeps a notice for each webhook that wants the event, as it will be sent', async () => {
    const store = new MemoryStore();
    start(store).notify(stopped);
    await until(() => store.added.length === 2);
    notifier.notify({ event: 'source.switched', source: 'eu', details: { to: 'b' } });
    await until(() => store.added.length === 3);
    expect(store.added.map(({ webhook, event }) => [webhook, event])).toEqual([
      ['all', 'source.stopped'],
      ['stops', 'source.stopped'],
      ['all', 'source.switched'],
    ]);
    const [first] = store.added;
    const { id, createdAtMs: atMs } = first as NewNotice;
    expect(JSON.parse(first?.body ?? '')).toEqual({
      ...{ id, event: 'source.stopped', atMs, source: 'eu' },
      error: { code: 'C' },
    });
    expect(new Set(store.added.map((notice) => notice.id)).size).toBe(3);
  });

  it('says once what is one notice, and leaves it to the store for other processes', async () => {
    const store = new MemoryStore();
    start(store);
    for (const uniqueKey of ['run 1', 'run 1', 'run 2'])
      notifier.notify({ event: 'mismatches.found', source: 'eu', details: {}, uniqueKey });
    await until(() => store.added.length === 2);
    expect(store.added.map(({ uniqueKey }) => uniqueKey)).toEqual(['run 1', 'run 2']);
  });

  it('keeps all that is said until the work of the service has ended', async () => {
    const store = new MemoryStore();
    store.isDown = true;
    start(store).notify(stopped);
    await until(() => store.tries === 1);
    shutdown.begin();
    await notifier.onModuleDestroy();
    for (let i = 0; i < 250; i++) notifier.notify({ event: 'source.switched', source: 'eu', details: {} });
    store.isDown = false;
    await notifier.beforeApplicationShutdown();
    expect(store.added).toHaveLength(252);
  });

  it('tries again while the state database is away, in order, and once more at the end', async () => {
    const store = new MemoryStore();
    store.isDown = true;
    start(store).notify(stopped);
    await until(() => store.tries === 1);
    notifier.notify({ event: 'source.switched', source: 'eu', details: {} });
    store.isDown = false;
    shutdown.begin();
    await notifier.onModuleDestroy();
    await notifier.beforeApplicationShutdown();
    expect(store.added.map(({ webhook, event }) => [webhook, event])).toEqual([
      ['all', 'source.stopped'],
      ['stops', 'source.stopped'],
      ['all', 'source.switched'],
    ]);
  });
});
