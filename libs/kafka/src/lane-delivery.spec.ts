import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';

import { DittoError, silentLogger } from '#kernel';
import { LaneSet } from '#replication';

import { type ConfirmedEnds } from './confirmed-ends.ts';
import { KafkaClient, type KafkaRecord, type TopicDescription } from './kafka-client.ts';
import { LaneDelivery, type RecordAdmission } from './lane-delivery.ts';
import { batchOf, type RecordBatch } from './record-batch.ts';

/** Takes batches up to a size, fails as the test says, and holds its caller to the contract of `produce`. */
class FakeKafkaClient extends KafkaClient {
  readonly written: string[] = [];
  calls = 0;
  refuses: (value: string) => boolean = () => false;
  readonly #failures: boolean[];
  readonly #maxValues: number;
  #pending: RecordBatch | null = null;

  constructor(maxValues: number, failures: readonly boolean[] = []) {
    super();
    this.#maxValues = maxValues;
    this.#failures = [...failures];
  }

  override produce(_topic: string, _partition: number, batch: RecordBatch): Promise<number | null> {
    this.calls++;
    if (this.#pending !== null && this.#pending !== batch)
      return Promise.reject(new Error('another batch than the unconfirmed one'));
    if (this.#failures.shift() === true) {
      this.#pending = batch;
      return Promise.reject(new DittoError('DITTO_KAFKA_UNAVAILABLE', 'down', { retriable: true }));
    }
    this.#pending = null;
    if (batch.count > this.#maxValues)
      return Promise.reject(new DittoError('DITTO_KAFKA_MESSAGE_TOO_LARGE', 'too large'));
    if (batch.records().some(({ value }) => this.refuses(String(value))))
      return Promise.reject(new DittoError('DITTO_KAFKA_RECORD_REFUSED', 'no'));
    const offset = this.written.length;
    this.written.push(...batch.records().map(({ value }) => String(value)));
    return Promise.resolve(offset);
  }

  override connect(): Promise<void> {
    return Promise.resolve();
  }
  override ensureTopic(): Promise<TopicDescription> {
    return Promise.reject(new Error('not used here'));
  }
  override partitionCount(): Promise<number | null> {
    return Promise.resolve(null);
  }
  override close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Numbered messages in batches of up to `most`. */
function createBatches(count: number, most: number): RecordBatch[] {
  const records = Array.from({ length: count }, (_, index) => ({ key: null, value: String(index), headers: {} }));
  const cuts = Array.from({ length: Math.ceil(count / most) }, (_, index) => index * most);
  return cuts.map((start) => batchOf(records.slice(start, start + most)));
}

const target = { topic: 't', partition: 0, maxBatchBytes: 900_000 };
const stop = (_record: unknown, error: DittoError): Promise<void> => Promise.reject(error);

describe('LaneDelivery', () => {
  it('I1, I2: writes every entry once and in order, whatever fails and however small the batches must be', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 120 }),
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.boolean(), { maxLength: 20 }),
        async (count, maxValues, failures) => {
          const client = new FakeKafkaClient(maxValues, failures);
          const delivery = new LaneDelivery({ client, target, refuse: stop });
          const lanes = new LaneSet<RecordBatch>({
            deliver: (_lane, [batch]) => delivery.deliver(batch as RecordBatch),
            maxBatchBytes: Infinity,
            maxBatchEntries: 1,
            backoff: { initialMs: 0, maxMs: 0 },
            logger: silentLogger,
            onFatal: (error) => {
              throw error;
            },
          });
          for (const batch of createBatches(count, 50)) lanes.push(0, batch);
          await lanes.drain(new AbortController().signal);
          expect(client.written).toEqual(Array.from({ length: count }, (_, index) => String(index)));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('sends what fits in one call', async () => {
    const client = new FakeKafkaClient(1_000);
    for (const batch of createBatches(1_000, 1_000))
      await new LaneDelivery({ client, target, refuse: stop }).deliver(batch);
    expect(client.calls).toBe(1);
  });

  it('names the message that is too large alone', async () => {
    const client = new FakeKafkaClient(0);
    const batch = batchOf([{ key: '{"id":5}', value: 'x', headers: { 'ditto.id': 'uuid:1/0' } }]);
    await expect(new LaneDelivery({ client, target, refuse: stop }).deliver(batch)).rejects.toMatchObject({
      code: 'DITTO_KAFKA_MESSAGE_TOO_LARGE',
      retriable: false,
      context: { topic: 't', partition: 0, key: '{"id":5}', id: 'uuid:1/0' },
    });
  });

  it('I5: sends no further part once the lease is lost, not even while one is being refused', async () => {
    const client = new FakeKafkaClient(100);
    client.refuses = (value) => value === '3';
    let owns = true;
    const refuse = (): Promise<void> => {
      owns = false;
      return Promise.resolve();
    };
    const [batch] = createBatches(8, 8) as [RecordBatch];
    const delivery = new LaneDelivery({ client, target, refuse, mayDeliver: () => owns });
    await expect(delivery.deliver(batch)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST' });
    expect(client.written).toEqual(['0', '1', '2']);
  });

  it('I6: hands over what is refused by itself, and delivers the others in order once that is recorded', async () => {
    const client = new FakeKafkaClient(100);
    client.refuses = (value) => Number(value) % 7 === 3;
    const refused: string[] = [];
    const refuse = async ({ value }: KafkaRecord, { code }: DittoError): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      refused.push(`${String(value)} ${code} ${client.written.length}`);
    };
    const [batch] = createBatches(12, 12) as [RecordBatch];
    await new LaneDelivery({ client, target, refuse }).deliver(batch);
    expect(refused).toEqual(['3 DITTO_KAFKA_RECORD_REFUSED 3', '10 DITTO_KAFKA_RECORD_REFUSED 9']);
    expect(client.written).toEqual(['0', '1', '2', '4', '5', '6', '7', '8', '9', '11']);
  });

  it('I6: asks again when the refusal could not be recorded', async () => {
    const client = new FakeKafkaClient(100);
    client.refuses = (value) => value === '1';
    let asked = 0;
    const refuse = (): Promise<void> =>
      asked++ > 0
        ? Promise.resolve()
        : Promise.reject(new DittoError('DITTO_STATE_UNREACHABLE', 'down', { retriable: true }));
    const delivery = new LaneDelivery({ client, target, refuse });
    const [batch] = createBatches(3, 3) as [RecordBatch];
    await expect(delivery.deliver(batch)).rejects.toMatchObject({ code: 'DITTO_STATE_UNREACHABLE' });
    expect(client.written).toEqual(['0']);
    await delivery.deliver(batch);
    expect(client.written).toEqual(['0', '2']);
  });

  it('I2, I6: holds back what is in the quarantine, once, and sends the same again after a failure', async () => {
    const client = new FakeKafkaClient(4, [true, false, true]);
    const seen: string[] = [];
    let isHeld = true;
    const admit = (): RecordAdmission | null =>
      isHeld
        ? {
            admits: ({ value }) => Number(value) % 3 !== 1,
            noteHeld: () => seen.push('held'),
            noteTaken: () => seen.push('taken'),
          }
        : null;
    const delivery = new LaneDelivery({ client, target, refuse: stop, admit });
    const [batch] = createBatches(9, 9) as [RecordBatch];
    await expect(delivery.deliver(batch)).rejects.toMatchObject({ code: 'DITTO_KAFKA_UNAVAILABLE' });
    await expect(delivery.deliver(batch)).rejects.toMatchObject({ code: 'DITTO_KAFKA_UNAVAILABLE' });
    await delivery.deliver(batch);
    expect(client.written).toEqual(['0', '2', '3', '5', '6', '8']);
    expect([seen[0], seen.filter((what) => what === 'held')]).toEqual(['held', ['held']]);
    isHeld = false;
    const [next] = createBatches(2, 2) as [RecordBatch];
    await delivery.deliver(next);
    expect(client.written.slice(6)).toEqual(['0', '1']);
  });

  it('I2: what may be with the brokers is sent again as it is, although its row came into the quarantine meanwhile', async () => {
    const client = new FakeKafkaClient(100, [true]);
    let isHeld = false;
    const admit = (): RecordAdmission | null =>
      isHeld ? { admits: () => false, noteHeld: () => undefined, noteTaken: () => undefined } : null;
    const delivery = new LaneDelivery({ client, target, refuse: stop, admit });
    const [batch] = createBatches(3, 3) as [RecordBatch];
    await expect(delivery.deliver(batch)).rejects.toMatchObject({ code: 'DITTO_KAFKA_UNAVAILABLE' });
    isHeld = true;
    await delivery.deliver(batch);
    expect(client.written).toEqual(['0', '1', '2']);
  });

  it('sends nothing where all of a batch is held back', async () => {
    const client = new FakeKafkaClient(100);
    const admit = (): RecordAdmission => ({
      admits: () => false,
      noteHeld: () => undefined,
      noteTaken: () => undefined,
    });
    const [batch] = createBatches(3, 3) as [RecordBatch];
    await new LaneDelivery({ client, target, refuse: stop, admit }).deliver(batch);
    expect(client.calls).toBe(0);
  });

  describe('where confirmed messages may be gone', () => {
    const lost = new DittoError('DITTO_KAFKA_PRODUCER_LOST', 'lost', { retriable: true });
    const down = new DittoError('DITTO_KAFKA_UNAVAILABLE', 'down', { retriable: true });

    /** A client and ends that fail as the test says and note what they are asked, in order. */
    function start(failures: Readonly<Record<string, (Error | null)[]>>): { calls: string[]; delivery: LaneDelivery } {
      const calls: string[] = [];
      const answer = <T>(name: string, value: T): Promise<T> => {
        calls.push(name);
        const failure = failures[name.split(' ')[0] ?? '']?.shift() ?? null;
        return failure === null ? Promise.resolve(value) : Promise.reject(failure);
      };
      const client = { produce: () => answer('produce', 40) } as unknown as KafkaClient;
      const ends = {
        verify: (topic: string, partition: number) => answer(`verify ${topic}/${partition}`, undefined),
        confirm: (...confirmed: unknown[]) => answer(`confirm ${confirmed.join(' ')}`, undefined),
      } as unknown as ConfirmedEnds;
      return { calls, delivery: new LaneDelivery({ client, target, ends, refuse: stop }) };
    }

    it('I1: they are looked for before anything is put after them, until it is known that they are there', async () => {
      const { calls, delivery } = start({ produce: [lost], verify: [down] });
      const [batch] = createBatches(3, 3) as [RecordBatch];
      await expect(delivery.deliver(batch)).rejects.toBe(lost);
      await expect(delivery.deliver(batch)).rejects.toBe(down);
      await delivery.deliver(batch);
      await delivery.deliver(createBatches(1, 1)[0] as RecordBatch);
      const confirmed = ['produce', 'confirm t 0 40 3', 'produce', 'confirm t 0 40 1'];
      expect(calls).toEqual(['produce', 'verify t/0', 'verify t/0', ...confirmed]);
    });

    it('I1: a batch whose place shows a loss is not delivered', async () => {
      const gone = new DittoError('DITTO_KAFKA_CONFIRMED_LOST', 'gone');
      const { delivery } = start({ confirm: [gone] });
      await expect(delivery.deliver(createBatches(2, 2)[0] as RecordBatch)).rejects.toBe(gone);
    });
  });

  it('I2: parts of a batch that is too large keep their order, and those that were confirmed are not sent again', async () => {
    const client = new FakeKafkaClient(2, [false, false, false, true, false, true]);
    const delivery = new LaneDelivery({ client, target, refuse: stop });
    const [batch] = createBatches(8, 8) as [RecordBatch];
    for (;;)
      try {
        await delivery.deliver(batch);
        break;
      } catch (error) {
        if (!(error instanceof DittoError) || !error.retriable) throw error;
      }
    expect(client.written).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
  });
});
