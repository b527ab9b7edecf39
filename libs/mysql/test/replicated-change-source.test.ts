import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { silentLogger, Waits } from '#kernel';
import { connectionOptionsFromUrl, type MySqlConnectionOptions, MySqlEndpoint, ReplicatedChangeSource } from '#mysql';
import { ChangeSource, type SourceBatch } from '#replication';
import { FaultProxy, testStack } from '#testing';

/** Nobody has executed it. */
const NEVER = '11111111-1111-1111-1111-111111111111:1';
const never = new AbortController().signal;
type StreamOptions = Parameters<ChangeSource['stream']>[0];
interface Address {
  readonly host: string;
  readonly port: number;
}

/** A log of transactions with these GTIDs, one in each batch; one without begins none. */
class LogOf extends ChangeSource {
  readonly #gtids: readonly (string | null)[];

  constructor(gtids: readonly (string | null)[]) {
    super();
    this.#gtids = gtids;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- as a log gives them
  override async *stream(): AsyncGenerator<SourceBatch, void, undefined> {
    for (const gtid of this.#gtids)
      yield { items: gtid === null ? [] : [{ type: 'prepared', gtid }], bytes: gtid?.length ?? 0 };
  }
}

describe('a log of which only what other servers have is given on', () => {
  let primary: MySqlConnectionOptions;
  let replica: MySqlConnectionOptions;
  let streamedUuid: string;
  /** A transaction that both have. */
  let shared: string;
  const proxies: FaultProxy[] = [];

  beforeAll(async () => {
    const stack = await testStack();
    [primary, replica] = [stack.url('mysql-primary'), stack.url('mysql-replica')].map((url) =>
      connectionOptionsFromUrl(url),
    ) as [MySqlConnectionOptions, MySqlConnectionOptions];
    streamedUuid = (await new MySqlEndpoint(primary).inspect(never)).serverUuid;
    const { gtidExecuted } = await new MySqlEndpoint(replica).inspect(never);
    expect(gtidExecuted).toContain(streamedUuid);
    shared = `${streamedUuid}:1`;
  }, 120_000);
  afterEach(() => {
    for (const proxy of proxies.splice(0)) proxy.close();
  });

  async function proxyTo(target: Address): Promise<FaultProxy> {
    const proxy = await FaultProxy.open(target);
    proxies.push(proxy);
    return proxy;
  }

  function open(
    gtids: readonly (string | null)[],
    others: readonly Address[],
    { needed = 1, streamed = primary }: { needed?: number; streamed?: Address } = {},
  ) {
    const waits = new Waits({ limitMs: 100, logger: silentLogger, nowMs: Date.now });
    const stop = new AbortController();
    const source = new ReplicatedChangeSource({
      log: new LogOf(gtids),
      streamed: { connection: { ...primary, host: streamed.host, port: streamed.port }, serverUuid: streamedUuid },
      others: others.map(({ host, port }) => ({ ...replica, host, port })),
      needed,
      waits,
      logger: silentLogger,
    });
    const batches = source.stream({ signal: stop.signal } as StreamOptions);
    const read = async (): Promise<number> => {
      let count = 0;
      for await (const batch of batches) count += Number(batch.bytes >= 0);
      return count;
    };
    return { waits, stop, batches, read };
  }

  async function until(holds: () => boolean): Promise<void> {
    const deadline = performance.now() + 30_000;
    while (!holds()) {
      if (performance.now() > deadline) throw new Error('it did not come to pass');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  test('I7: gives a batch once another server has its transactions, and waits for it until then', async () => {
    const proxy = await proxyTo(replica);
    proxy.cut();
    const { read, waits } = open([null, shared, shared], [proxy]);
    let given = -1;
    const done = read().then((count) => (given = count));
    await until(() => waits.overdue.length > 0);
    expect(waits.overdue[0]?.what).toBe(`1 other server of the cluster to have ${shared}`);
    expect(given).toBe(-1);
    proxy.restore();
    await done;
    expect([given, waits.overdue]).toEqual([3, []]);
  }, 60_000);

  test('I7: gives nothing that nobody has, and ends at its signal', async () => {
    const { batches, stop, waits } = open([shared, NEVER], [replica]);
    expect((await batches.next()).done).toBe(false);
    const second = batches.next();
    await until(() => waits.overdue.length > 0);
    stop.abort();
    expect(await second).toEqual({ done: true, value: undefined });
  }, 60_000);

  test('I7: two names of one server count as one server, and the one that is read does not count', async () => {
    const few = { code: 'DITTO_SOURCE_REPLICAS_TOO_FEW', retriable: true };
    await expect(open([shared], [replica, await proxyTo(replica)], { needed: 2 }).read()).rejects.toMatchObject(few);
    await expect(open([shared], [primary]).read()).rejects.toMatchObject(few);
    expect(await open([shared], [primary, replica]).read()).toBe(1);
  }, 60_000);

  test('ends when the server that is read is lost while something waits: it will never come to the others', async () => {
    const streamed = await proxyTo(primary);
    const { read, waits } = open([NEVER], [replica], { streamed });
    const ended = read().catch((error: unknown) => error);
    await until(() => waits.overdue.length > 0);
    streamed.cut();
    expect(await ended).toMatchObject({
      retriable: true,
      code: expect.stringMatching(/^DITTO_SOURCE_(CONNECTION_LOST|UNREACHABLE)$/),
    });
  }, 60_000);
});
