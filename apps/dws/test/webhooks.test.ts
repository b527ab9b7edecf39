import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHmac } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { StateDatabase, StateNoticeStore } from '#state';
import { eventually, testStack } from '#testing';
import { createDeployment, type Deployment, Instance } from './deployment.ts';

const SECRET = 'a secret of sixteen';

interface Call {
  readonly id: string;
  readonly status: number;
  readonly atMs: number;
}

/** Checks signatures as docs/webhooks.md says, and answers as the test says. */
class Receiver {
  status = 503;
  readonly calls: Call[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      void text(request).then((body) => {
        const [, t = '', v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request.headers['ditto-signature'])) ?? [];
        const isSigned = v1 === createHmac('sha256', SECRET).update(`${t}.${body}`).digest('hex');
        const isNew = Math.abs(Date.now() / 1000 - Number(t)) < 300;
        const status = isSigned && isNew ? this.status : 401;
        const { id } = JSON.parse(body) as { id: string };
        this.calls.push({ id, status, atMs: Date.now() });
        response.writeHead(status).end();
      });
    });
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  close(): void {
    this.#server.close();
  }

  taken(): string[] {
    return this.calls.filter(({ status }) => status === 200).map(({ id }) => id);
  }
}

describe('webhooks', () => {
  const receiver = new Receiver();
  let worker: Instance;
  let state: StateDatabase;
  let notices: StateNoticeStore;
  let deployment: Deployment;

  beforeAll(async () => {
    const direct = await createDeployment({ stack: await testStack(), probeIntervalMs: 60_000 });
    const webhook = { name: 'pager', url: await receiver.open(), secret: SECRET };
    deployment = { ...direct, config: { ...direct.config, webhooks: [webhook] } };
    worker = await Instance.start('dws', deployment);
    state = new StateDatabase(direct.config['state'] as ConstructorParameters<typeof StateDatabase>[0]);
    await state.open(AbortSignal.timeout(30_000));
    notices = new StateNoticeStore(state);
  }, 60_000);

  afterAll(async () => {
    receiver.close();
    await worker.close();
    await state.close();
  }, 30_000);

  function notice(id: string, webhook = 'pager', uniqueKey: string | null = null) {
    const body = JSON.stringify({ id, event: 'source.stopped', source: 'eu' });
    return { id, webhook, event: 'source.stopped', source: 'eu', body, createdAtMs: Date.now(), uniqueKey };
  }

  test('a receiver that fails is called again, also by a worker that was started since, and gets everything once it answers', async () => {
    await notices.add([notice('n-1'), notice('n-2'), notice('n-3', 'another')]);
    await eventually(() => receiver.calls.length >= 2);
    await worker.close();
    expect(receiver.taken()).toEqual([]);
    worker = await Instance.start('dws', deployment);
    await notices.add([notice('n-4', 'pager', 'once'), notice('n-5', 'pager', 'once'), notice('n-1')]);
    receiver.status = 200;
    await eventually(() => receiver.taken().length >= 3);
    expect(receiver.taken().sort()).toEqual(['n-1', 'n-2', 'n-4']);
    const [first, second] = receiver.calls.filter(({ id }) => id === 'n-1');
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(5000);
    expect(receiver.calls.filter(({ status }) => status === 401)).toEqual([]);
    await eventually(
      () => notices.listWebhooks(Date.now() + 86_400_000),
      (webhooks) => webhooks.length === 0,
    );
  }, 60_000);

  test('what was delivered stays delivered, and is not made again', async () => {
    const calls = receiver.calls.length;
    await notices.add([notice('n-1'), notice('n-6', 'pager', 'once'), notice('n-7')]);
    await eventually(() => receiver.taken().includes('n-7'));
    expect(receiver.calls.length).toBe(calls + 1);
  }, 30_000);
});
