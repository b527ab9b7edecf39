import { describe, expect, it } from '@jest/globals';
import { ProtocolError, Reader, readRecordsBatch } from '@platformatic/kafka';
import fc from 'fast-check';

import { DittoError } from '#kernel';

import { PartitionProducer, type ProducerIdentity } from './partition-producer.ts';
import { batchOf, type BatchIdentity, type RecordBatch } from './record-batch.ts';

type Answer =
  'ok' | 'lost answer' | 'not sent' | 'MESSAGE_TOO_LARGE' | 'OUT_OF_ORDER_SEQUENCE_NUMBER' | 'UNKNOWN_PRODUCER_ID';

/** A partition as a broker keeps it: the newest sequence of each producer id decides what is appended. */
class FakePartition {
  readonly values: string[] = [];
  readonly answers: Answer[] = [];
  readonly sent: Buffer[] = [];
  readonly #next = new Map<bigint, { sequence: number; firstOfLast: number }>();
  #identities = 0;

  identity(lost: ProducerIdentity | null): Promise<ProducerIdentity> {
    if (lost !== null || this.#identities === 0) this.#identities++;
    return Promise.resolve({ producerId: BigInt(this.#identities), producerEpoch: 0 });
  }

  send(batch: Buffer): Promise<number> {
    this.sent.push(Buffer.from(batch));
    const answer = this.answers.shift() ?? 'ok';
    if (answer === 'not sent') return Promise.reject(new Error('unreachable', { cause: { code: 'ECONNREFUSED' } }));
    if (answer !== 'ok' && answer !== 'lost answer') return Promise.reject(new ProtocolError(answer));
    const offset = this.values.length;
    const duplicate = this.#append(batch);
    if (answer === 'lost answer')
      return Promise.reject(new DittoError('DITTO_KAFKA_UNAVAILABLE', 'no answer', { retriable: true }));
    return duplicate ? Promise.reject(new ProtocolError('DUPLICATE_SEQUENCE_NUMBER')) : Promise.resolve(offset);
  }

  #append(bytes: Buffer): boolean {
    const batch = readRecordsBatch(Reader.from(bytes));
    const known = this.#next.get(batch.producerId);
    const end = batch.firstSequence + batch.records.length;
    if (batch.firstSequence === known?.firstOfLast && end === known.sequence) return true;
    if (batch.firstSequence !== (known?.sequence ?? 0)) throw new Error('out of order');
    this.#next.set(batch.producerId, {
      sequence: batch.firstSequence + batch.records.length,
      firstOfLast: batch.firstSequence,
    });
    for (const { value } of batch.records) this.values.push(String(value));
    return false;
  }
}

function createProducer(partition: FakePartition): PartitionProducer {
  return new PartitionProducer({
    topic: 't',
    partition: 0,
    compression: 'none',
    identity: (lost) => partition.identity(lost),
    send: (_topic, _partition, batch) => partition.send(batch),
  });
}

function records(...values: string[]): RecordBatch {
  return batchOf(values.map((value) => ({ key: null, value, headers: {} })));
}

/** More than any test has failures of one batch. */
const MOST_ATTEMPTS = 20;

async function sendUntilConfirmed(producer: PartitionProducer, batch: RecordBatch): Promise<void> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    try {
      await producer.produce(batch);
      return;
    } catch (error) {
      if (!(error instanceof DittoError) || !error.retriable) throw error;
    }
  }
  throw new Error('the batch is never confirmed');
}

describe('PartitionProducer', () => {
  it('I2: sends the very same bytes again after an unknown outcome, and the broker keeps them once', async () => {
    const partition = new FakePartition();
    const producer = createProducer(partition);
    partition.answers.push('ok', 'lost answer', 'not sent', 'lost answer');
    for (const batch of [records('a', 'b'), records('c'), records('d', 'e')]) await sendUntilConfirmed(producer, batch);
    expect(partition.values).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(partition.sent[2]).toEqual(partition.sent[1]);
  });

  it('gives the sequence numbers of a refused batch back', async () => {
    const partition = new FakePartition();
    const producer = createProducer(partition);
    partition.answers.push('ok', 'MESSAGE_TOO_LARGE');
    await producer.produce(records('a'));
    await expect(producer.produce(records('b', 'c'))).rejects.toMatchObject({
      code: 'DITTO_KAFKA_MESSAGE_TOO_LARGE',
      retriable: false,
    });
    await producer.produce(records('b'));
    await producer.produce(records('c'));
    expect(partition.values).toEqual(['a', 'b', 'c']);
  });

  it.each(['OUT_OF_ORDER_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID'] as const)(
    'takes a new producer id after %s and keeps the order',
    async (answer) => {
      const partition = new FakePartition();
      const producer = createProducer(partition);
      partition.answers.push('ok', answer);
      expect(await producer.produce(records('a'))).toBe(0);
      const batch = records('b', 'c');
      await expect(producer.produce(batch)).rejects.toMatchObject({
        code: 'DITTO_KAFKA_PRODUCER_LOST',
        retriable: true,
      });
      expect(await producer.produce(batch)).toBe(1);
      await producer.produce(records('d'));
      expect(partition.values).toEqual(['a', 'b', 'c', 'd']);
      expect(readRecordsBatch(Reader.from(partition.sent[2] as Buffer))).toMatchObject({
        producerId: 2n,
        firstSequence: 0,
      });
    },
  );

  it('refuses another batch while the outcome of one is unknown', async () => {
    const partition = new FakePartition();
    const producer = createProducer(partition);
    partition.answers.push('lost answer');
    await expect(producer.produce(records('a'))).rejects.toMatchObject({ retriable: true });
    await expect(producer.produce(records('b'))).rejects.toThrow('another batch than the unconfirmed one');
    expect(partition.values).toEqual(['a']);
  });

  it('I2: keeps each batch once and in order, whatever is lost, also where sequence numbers begin again', async () => {
    const plan = fc.array(
      fc.record({
        // a batch holds up to 2^31 - 1 records; numbers begin again after that
        count: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 2 ** 30, max: 2 ** 31 - 1 })),
        outcomes: fc.array(fc.constantFrom<SentOutcome>('lost', 'down', 'forgotten', 'large'), { maxLength: 4 }),
      }),
      { minLength: 1, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(plan, async (steps) => {
        const broker = new SequencedPartition();
        const producer = new PartitionProducer({
          topic: 't',
          partition: 0,
          compression: 'none',
          identity: (lost) => broker.identity(lost),
          send: (_topic, _partition, bytes) => broker.send(bytes),
        });
        const expected: string[] = [];
        for (const [index, { count, outcomes }] of steps.entries()) {
          broker.outcomes = [...outcomes];
          for (let part = 0; part <= outcomes.length; part++) {
            const name = `${index}.${part}`;
            const outcome = await produceUntilSettled(producer, hugeBatch(name, count));
            if (outcome === 'written') expected.push(name);
            if (outcome === 'written') break;
          }
        }
        expect([broker.written, broker.complaints]).toEqual([expected, []]);
      }),
      { numRuns: 200 },
    );
  });
});

/** Of one request. `large`: refused and not written; `forgotten`: the broker lost the producer and wrote nothing. */
type SentOutcome = 'lost' | 'down' | 'forgotten' | 'large';

interface SentBatch {
  readonly name: string;
  readonly producerId: string;
  readonly first: number;
  readonly count: number;
  /** How often the batch was encoded. */
  readonly edition: number;
}

/** A batch that says of itself what a broker looks at. */
function hugeBatch(name: string, count: number): RecordBatch {
  let edition = 0;
  const encode = ({ producerId, baseSequence }: BatchIdentity): Buffer =>
    Buffer.from(
      JSON.stringify({ name, producerId: String(producerId), first: baseSequence, count, edition: edition++ }),
    );
  return { count, encode } as unknown as RecordBatch;
}

async function produceUntilSettled(producer: PartitionProducer, batch: RecordBatch): Promise<'written' | 'refused'> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++)
    try {
      await producer.produce(batch);
      return 'written';
    } catch (error) {
      if (!(error instanceof DittoError)) throw error;
      if (!error.retriable) return 'refused';
    }
  throw new Error('the batch is never settled');
}

/** A leader's check of sequence numbers, which count from 0 again after 2^31 - 1. */
class SequencedPartition {
  readonly written: string[] = [];
  readonly complaints: string[] = [];
  outcomes: SentOutcome[] = [];
  #identities = 0;
  #last: SentBatch | null = null;
  #unsure: string | null = null;

  identity(lost: ProducerIdentity | null): Promise<ProducerIdentity> {
    if (lost !== null || this.#identities === 0) this.#identities++;
    return Promise.resolve({ producerId: BigInt(this.#identities), producerEpoch: 0 });
  }

  send(bytes: Buffer): Promise<number> {
    const text = bytes.toString();
    const outcome = this.outcomes.shift();
    if (this.#unsure !== null && this.#unsure !== text) this.complaints.push(`${text} instead of ${this.#unsure}`);
    this.#unsure = outcome === 'lost' || outcome === 'down' ? text : null;
    if (outcome === 'down')
      return Promise.reject(new DittoError('DITTO_KAFKA_UNAVAILABLE', 'down', { retriable: true }));
    const sent = JSON.parse(text) as SentBatch;
    const isRepeat = this.#last?.name === sent.name;
    // what was written is not refused or forgotten when it comes again
    if (outcome === 'large' && !isRepeat) return Promise.reject(new ProtocolError('MESSAGE_TOO_LARGE'));
    if (outcome === 'forgotten' && !isRepeat) {
      this.#last = null;
      return Promise.reject(new ProtocolError('UNKNOWN_PRODUCER_ID'));
    }
    if (!isRepeat) this.#write(sent);
    if (outcome === 'lost')
      return Promise.reject(new DittoError('DITTO_KAFKA_UNAVAILABLE', 'lost', { retriable: true }));
    return isRepeat ? Promise.reject(new ProtocolError('DUPLICATE_SEQUENCE_NUMBER')) : Promise.resolve(0);
  }

  #write(sent: SentBatch): void {
    const last = this.#last?.producerId === sent.producerId ? this.#last : null;
    const next = last === null ? sent.first : (last.first + last.count) % 2 ** 31;
    if (sent.first !== next || sent.first >= 2 ** 31)
      this.complaints.push(`${JSON.stringify(sent)} where ${next} is next`);
    if (last === null && this.#identities > 1 && sent.first !== 0) this.complaints.push('a new producer begins at 0');
    this.#last = sent;
    this.written.push(sent.name);
  }
}
