import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { type DittoConfig } from '#configuration';
import { type Metrics } from '#platform';
import { type DueNotice, type StateNoticeStore } from '#state';
import { WebhookDeliveries } from './webhook-deliveries.ts';

const DAY_MS = 86_400_000;
const never = new AbortController().signal;

interface Kept extends Omit<DueNotice, 'nextAtMs'> {
  nextAtMs: number | null;
  attempts: number;
  error: string | null;
}

/** As the table is. */
class MemoryNotices implements Pick<StateNoticeStore, 'listWebhooks' | 'listDue' | 'claim' | 'end' | 'delay'> {
  readonly kept: Kept[] = [];
  takesAnswers = true;

  add(id: string, webhook: string, ageMs = 0): void {
    const createdAtMs = Date.now() - ageMs;
    const body = JSON.stringify({ id });
    this.kept.push({
      ...{ id, webhook, event: 'source.stopped', source: 'eu', body, createdAtMs },
      ...{ attempts: 0, nextAtMs: createdAtMs, error: null },
    });
  }

  #due(nowMs: number): DueNotice[] {
    return this.kept.flatMap((notice) =>
      notice.nextAtMs !== null && notice.nextAtMs <= nowMs ? [{ ...notice, nextAtMs: notice.nextAtMs }] : [],
    );
  }

  #change(id: string, error: string | null, nextAtMs: number | null): Promise<void> {
    if (!this.takesAnswers) return Promise.reject(new Error('read only'));
    const notice = this.kept.find((one) => one.id === id);
    if (notice) Object.assign(notice, { error, nextAtMs });
    return Promise.resolve();
  }

  listWebhooks(nowMs: number): Promise<string[]> {
    return Promise.resolve([...new Set(this.#due(nowMs).map(({ webhook }) => webhook))]);
  }

  listDue(webhook: string, nowMs: number, most: number): Promise<DueNotice[]> {
    return Promise.resolve(
      this.#due(nowMs)
        .filter((notice) => notice.webhook === webhook)
        .slice(0, most),
    );
  }

  claim({ id, nextAtMs }: Pick<DueNotice, 'id' | 'nextAtMs'>, untilMs: number): Promise<boolean> {
    const notice = this.kept.find((one) => one.id === id && one.nextAtMs === nextAtMs);
    if (notice) Object.assign(notice, { nextAtMs: untilMs, attempts: notice.attempts + 1 });
    return Promise.resolve(notice !== undefined);
  }

  end(id: string, error: string | null): Promise<void> {
    return this.#change(id, error, null);
  }

  delay(id: string, error: string, untilMs: number): Promise<void> {
    return this.#change(id, error, untilMs);
  }
}

let server: Server;
let url: string;
let status: number;
let got: string[];
let notices: MemoryNotices;
let outcomes: string[];

beforeEach(async () => {
  [status, got, outcomes] = [200, [], []];
  notices = new MemoryNotices();
  server = createServer((request, response) => {
    void text(request).then((body) => {
      const { id } = JSON.parse(body) as { id: string };
      got.push(id);
      response.writeHead(request.url === '/dead' ? 503 : status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(() => {
  jest.restoreAllMocks();
  server.closeAllConnections();
  server.close();
});

function create(...names: readonly string[]): WebhookDeliveries {
  const reveal = (value: string) => ({ reveal: () => value });
  const webhooks = names.map((name) => ({
    ...{ name, url: reveal(`${url}/${name}`), secret: reveal('a secret of sixteen'), timeoutMs: 5000 },
  }));
  const counter = () => ({
    inc: ({ webhook, outcome }: Record<string, string>) => outcomes.push(`${webhook} ${outcome}`),
  });
  return new WebhookDeliveries(
    { webhooks } as unknown as DittoConfig,
    notices as unknown as StateNoticeStore,
    { counter } as unknown as Metrics,
  );
}

describe('WebhookDeliveries', () => {
  it('what waits for one that is away keeps nothing from the others', async () => {
    for (let i = 0; i < 500; i++) notices.add(`old-${i}`, 'dead', 60_000);
    notices.add('new', 'pager');
    expect(await create('dead', 'pager').deliver(never)).toEqual({ delivered: 1 });
    expect(got.sort()).toEqual(['new', 'old-0']);
  });

  it('ends its turn when a slow one has taken much of it, and continues in the next', async () => {
    for (let i = 0; i < 5; i++) notices.add(`n-${i}`, 'slow');
    const { now } = Date;
    jest.spyOn(Date, 'now').mockImplementation(() => now() + got.length * 4000);
    const worker = create('slow');
    expect(await worker.deliver(never)).toEqual({ delivered: 3 });
    expect(await worker.deliver(never)).toEqual({ delivered: 2 });
  });

  it('two workers at a time send each notice once', async () => {
    for (let i = 0; i < 20; i++) notices.add(`n-${i}`, 'pager');
    const workers = [create('pager'), create('pager')];
    for (let turn = 0; turn < 20; turn++) await Promise.all(workers.map((worker) => worker.deliver(never)));
    expect(got.toSorted()).toEqual(notices.kept.map(({ id }) => id).toSorted());
  });

  it('does not send a notice again at once when the answer can not be recorded', async () => {
    notices.add('n-1', 'pager');
    notices.takesAnswers = false;
    const worker = create('pager');
    await expect(worker.deliver(never)).rejects.toThrow('read only');
    for (let turn = 0; turn < 5; turn++) await worker.deliver(never).catch(() => undefined);
    expect(got).toEqual(['n-1']);
    expect((notices.kept[0]?.nextAtMs ?? 0) - Date.now()).toBeGreaterThan(5000);
  });

  it('waits longer after each failure', async () => {
    notices.add('n-1', 'pager');
    status = 500;
    const worker = create('pager');
    const waits: number[] = [];
    for (let i = 0; i < 3; i++) {
      await worker.deliver(never);
      const [notice] = notices.kept;
      waits.push(Math.round(((notice?.nextAtMs ?? 0) - Date.now()) / 1000));
      if (notice) notice.nextAtMs = Date.now();
    }
    expect(waits).toEqual([5, 10, 20]);
  });

  it('gives up, and counts, what is too old and what no webhook of the configuration is for', async () => {
    notices.add('old', 'pager', 3 * DAY_MS + 1);
    notices.add('n-1', 'pager');
    notices.add('n-2', 'another');
    await create('pager').deliver(never);
    expect(got).toEqual(['n-1']);
    expect(outcomes.sort()).toEqual(['another given-up', 'pager delivered', 'pager given-up']);
    expect(notices.kept.map(({ nextAtMs, error }) => [nextAtMs, error])).toEqual([
      [null, 'it is too old'],
      [null, null],
      [null, 'the configuration of this DWS has no such webhook'],
    ]);
  });
});
