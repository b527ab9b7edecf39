import { once } from 'node:events';
import { createServer, type AddressInfo, connect, type Server, type Socket } from 'node:net';

import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type Connection, Reader, Writer } from '@platformatic/kafka';
import fc from 'fast-check';

import { type PartitionBatch, ProduceChannel, type ProduceChannelOptions } from './produce-channel.ts';

/** A broker's end of a connection, and ours. */
let server: Server;
let broker: Socket;
let socket: Socket;
let toLibrary: Buffer[];

beforeEach(async () => {
  server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  [broker] = (await once(server, 'connection')) as [Socket];
  toLibrary = [];
  socket.on('data', (chunk) => toLibrary.push(chunk));
});

afterEach(() => {
  socket.destroy();
  broker.destroy();
  server.close();
});

function openChannel(given: Partial<ProduceChannelOptions> = {}): ProduceChannel {
  const options = { clientId: 'test', serverTimeoutMs: 1_000, requestTimeoutMs: 5_000, ...given };
  return new ProduceChannel({ socket } as Connection, options);
}

/** Reads requests until there are `count`; gives their correlation ids. */
function readIds(count: number): Promise<number[]> {
  let bytes = Buffer.alloc(0);
  return new Promise((resolve) => {
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      const ids: number[] = [];
      for (let at = 0; at + 4 <= bytes.length && at + 4 + bytes.readInt32BE(at) <= bytes.length;) {
        ids.push(bytes.readInt32BE(at + 8));
        at += 4 + bytes.readInt32BE(at);
      }
      if (ids.length < count) return;
      broker.off('data', take);
      resolve(ids);
    };
    broker.on('data', take);
  });
}

interface Request {
  readonly id: number;
  readonly size: number;
  readonly acks: number;
  readonly timeoutMs: number;
  readonly batches: readonly PartitionBatch[];
}

/** A request by the protocol's own words: https://kafka.apache.org/protocol#The_Messages_Produce */
function parseRequest(frame: Buffer): Request {
  const reader = Reader.from(frame);
  expect([reader.readInt16(), reader.readInt16()]).toEqual([0, 9]);
  const id = reader.readInt32();
  expect(reader.readString(false)).toBe('test');
  reader.readTaggedFields();
  expect(reader.readNullableString()).toBeNull();
  const [acks, timeoutMs] = [reader.readInt16(), reader.readInt32()];
  const batches: PartitionBatch[] = [];
  for (let topics = reader.readUnsignedVarInt() - 1; topics > 0; topics--) {
    const topic = reader.readString();
    for (let partitions = reader.readUnsignedVarInt() - 1; partitions > 0; partitions--) {
      const partition = reader.readInt32();
      const bytes = reader.readUnsignedVarInt() - 1;
      const at = reader.position;
      batches.push({ topic, partition, batch: frame.subarray(at, at + bytes) });
      reader.skip(bytes);
      reader.readTaggedFields();
    }
    reader.readTaggedFields();
  }
  reader.readTaggedFields();
  expect(reader.remaining).toBe(0);
  return { id, size: frame.length, acks, timeoutMs, batches };
}

/** Calls `onRequest` with each request that the broker gets. */
function serve(onRequest: (request: Request) => void): void {
  let bytes = Buffer.alloc(0);
  broker.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readInt32BE(0)) {
      const end = 4 + bytes.readInt32BE(0);
      onRequest(parseRequest(bytes.subarray(4, end)));
      bytes = bytes.subarray(end);
    }
  });
}

interface Outcome {
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  readonly offset: number;
}

/** Produce v9: what became of each partition. */
function answerOf(id: number, outcomes: readonly Outcome[]): Buffer {
  const topics = [...new Set(outcomes.map(({ topic }) => topic))];
  const writer = Writer.create()
    .appendInt32(id)
    .appendTaggedFields()
    .appendUnsignedVarInt(topics.length + 1);
  for (const topic of topics) {
    const partitions = outcomes.filter((outcome) => outcome.topic === topic);
    writer.appendString(topic).appendUnsignedVarInt(partitions.length + 1);
    for (const { partition, errorCode, offset } of partitions)
      writer
        .appendInt32(partition)
        .appendInt16(errorCode)
        .appendInt64(BigInt(offset))
        .appendInt64(-1n)
        .appendInt64(0n)
        .appendUnsignedVarInt(1)
        .appendString(null)
        .appendTaggedFields();
    writer.appendTaggedFields();
  }
  const body = writer.appendInt32(0).appendTaggedFields().buffer;
  return Buffer.concat([Writer.create().appendInt32(body.length).buffer, body]);
}

/** About partitions of one topic, each with an error code; the first record of each is at offset 7. */
function answer(id: number, ...partitions: readonly (readonly [partition: number, errorCode: number])[]): Buffer {
  const outcomes = partitions.map(([partition, errorCode]) => ({
    topic: 't',
    partition,
    errorCode,
    offset: errorCode === 0 ? 7 : -1,
  }));
  return answerOf(id, outcomes);
}

const batch = Buffer.from('batch');

const written = { status: 'fulfilled', value: 7 };
const unavailable = { status: 'rejected', reason: { code: 'DITTO_KAFKA_UNAVAILABLE', retriable: true } };
const notLeader = { status: 'rejected', reason: { apiId: 'NOT_LEADER_OR_FOLLOWER' } };

describe('ProduceChannel', () => {
  function send(channel: ProduceChannel, ...partitions: readonly number[]): Promise<PromiseSettledResult<number>[]> {
    return Promise.allSettled(partitions.map((partition) => channel.send({ topic: 't', partition, batch })));
  }

  it('I1: asks all in-sync replicas for each batch, byte for byte, and gives each its own answer', async () => {
    const places = fc
      .uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'größe'), fc.nat(3)), { minLength: 1, selector: String })
      .map((list) => list.map(([topic, partition]) => ({ topic, partition })));
    const planned = fc.array(
      fc.record({
        bytes: fc.oneof(fc.nat(300), fc.nat(400_000)),
        outcome: fc.constantFrom('ok', 'error', 'nothing', 'no offset'),
      }),
      { minLength: 12, maxLength: 12 },
    );
    const channel = openChannel();
    const requests: Request[] = [];
    let onRequest = (request: Request): unknown => request;
    serve((request) => onRequest(request));
    let offset = 0;
    await fc.assert(
      fc.asyncProperty(places, planned, fc.boolean(), async (given, plan, isReversed) => {
        const sent = given.map((place, i) => {
          const { bytes = 0, outcome = 'ok' } = plan[i] ?? {};
          return { ...place, outcome, offset: offset++, batch: Buffer.alloc(bytes, offset) };
        });
        requests.length = 0;
        onRequest = (request) => {
          requests.push(request);
          const named = request.batches
            .map(({ topic, partition }) => sent.find((one) => one.topic === topic && one.partition === partition))
            .filter((one) => one !== undefined && one.outcome !== 'nothing')
            .map((one) => one as (typeof sent)[number])
            .map(({ topic, partition, outcome, offset: first }) => ({
              ...{ topic, partition, errorCode: outcome === 'error' ? 6 : 0 },
              offset: outcome === 'ok' ? first : -1,
            }));
          broker.write(answerOf(request.id, isReversed ? named.toReversed() : named));
        };
        const settled = await Promise.allSettled(sent.map((one) => channel.send(one)));
        expect(settled).toMatchObject(
          sent.map(({ outcome, offset: value }) =>
            outcome === 'ok' ? { status: 'fulfilled', value } : outcome === 'error' ? notLeader : unavailable,
          ),
        );
        expect(requests.map(({ acks, timeoutMs }) => [acks, timeoutMs])).toEqual(requests.map(() => [-1, 1_000]));
        const textOf = ({ topic, partition, batch: bytes }: PartitionBatch): string =>
          `${topic}/${partition}: ${bytes.toString('latin1')}`;
        expect(requests.flatMap(({ batches }) => batches.map(textOf)).sort()).toEqual(sent.map(textOf).sort());
        for (const { batches } of requests) {
          const sizes = batches.map((one) => one.batch.length);
          expect(sizes.reduce((sum, size) => sum + size, 0) - Math.max(...sizes)).toBeLessThan(1024 * 1024);
        }
      }),
      { numRuns: 40 },
    );
  }, 30_000);

  it('I1: gives each batch of a request the answer about its own partition', async () => {
    const channel = openChannel();
    const sent = send(channel, 0, 1, 2, 3);
    const [id] = await readIds(1);
    broker.write(answer(id as number, [3, 0], [1, 6], [0, 0], [7, 0]));
    expect(await sent).toMatchObject([written, notLeader, unavailable, written]);
  });

  it('recognizes answers to its requests, however they are cut, and gives other answers to the library', async () => {
    const channel = openChannel();
    const sent = [send(channel, 0)];
    await new Promise((resolve) => setImmediate(resolve));
    sent.push(send(channel, 1));
    const [first, second] = (await readIds(2)) as [number, number];
    const other = Buffer.from([0, 0, 0, 4, 0, 0, 0, 9]);
    for (const byte of Buffer.concat([answer(first, [0, 0]), other, answer(second, [1, 6])])) {
      broker.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await Promise.all(sent)).toMatchObject([[written], [notLeader]]);
    expect(toLibrary).toEqual([other]);
  });

  it('gives a silent connection up, with all that waits there', async () => {
    const channel = openChannel({ requestTimeoutMs: 100 });
    expect(await send(channel, 0, 1)).toMatchObject([unavailable, unavailable]);
    expect(await send(channel, 0)).toMatchObject([unavailable]);
  });

  describe('by a clock of its own', () => {
    beforeEach(() => void jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] }));
    afterEach(() => void jest.useRealTimers());

    it('keeps a connection on which all was answered, however long nothing is sent', async () => {
      const channel = openChannel({ requestTimeoutMs: 200 });
      const sent = send(channel, 0);
      const [id] = await readIds(1);
      broker.write(answer(id as number, [0, 0]));
      expect(await sent).toMatchObject([written]);
      jest.advanceTimersByTime(10_000);
      expect(socket.destroyed).toBe(false);
    });

    it('does not give a slow connection up while answers come, and does when they end', async () => {
      const channel = openChannel({ requestTimeoutMs: 200 });
      const sent: Promise<PromiseSettledResult<number>[]>[] = [];
      for (let partition = 0; partition < 5; partition++) {
        sent.push(send(channel, partition));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const ids = await readIds(5);
      for (const [partition, id] of ids.slice(0, -1).entries()) {
        jest.advanceTimersByTime(200);
        broker.write(answer(id, [partition, 0]));
        expect(await sent[partition]).toMatchObject([written]);
      }
      jest.advanceTimersByTime(200);
      expect(socket.destroyed).toBe(false);
      jest.advanceTimersByTime(50);
      expect(await sent.at(-1)).toMatchObject([unavailable]);
    });
  });

  it('continues after the last correlation id, with ids that the library does not use', async () => {
    const channel = openChannel({ correlationId: 0x7fffffff });
    const ids: number[] = [];
    serve(({ id }) => {
      ids.push(id);
      broker.write(answer(id, [0, 0]));
    });
    expect([await send(channel, 0), await send(channel, 0)]).toMatchObject([[written], [written]]);
    expect(ids[0]).toBe(0x7fffffff);
    expect(ids[1]).toBeGreaterThanOrEqual(0x40000000);
  });

  it('tries again after an error that the library does not know', async () => {
    const channel = openChannel();
    const sent = send(channel, 0);
    const [id] = await readIds(1);
    broker.write(answer(id as number, [0, 32_000]));
    expect(await sent).toMatchObject([unavailable]);
  });

  it('I5: writes nothing of what was given before the lease ran out: the process may have been frozen in between', async () => {
    let isLeased = true;
    const channel = openChannel({ mayWrite: () => isLeased });
    const before = send(channel, 0);
    const [id] = await readIds(1);
    broker.write(answer(id as number, [0, 0]));
    expect(await before).toMatchObject([written]);
    let received = 0;
    broker.on('data', ({ length }: Buffer) => (received += length));
    const sent = send(channel, 0, 1);
    isLeased = false;
    const lost = { status: 'rejected', reason: { code: 'DITTO_LEASE_LOST', retriable: true } };
    expect(await sent).toMatchObject([lost, lost]);
    socket.end();
    await once(broker, 'end');
    expect(received).toBe(0);
  });

  it('rejects what was given in the turn in which the connection ended', async () => {
    const channel = openChannel();
    const sent = send(channel, 0);
    socket.destroy();
    expect(await sent).toMatchObject([unavailable]);
  });

  it('reads no byte of a batch that it has rejected: the buffer is filled with other records then', async () => {
    broker.pause();
    const channel = openChannel({ requestTimeoutMs: 100 });
    const large = Buffer.alloc(32 * 1024 * 1024, 1);
    const sent = channel.send({ topic: 't', partition: 0, batch: large });
    await expect(sent).rejects.toMatchObject({ code: 'DITTO_KAFKA_UNAVAILABLE', retriable: true });
    large.fill(2);
    let received = 0;
    let changed = 0;
    broker.on('error', () => undefined);
    broker.on('data', (chunk) => {
      received += chunk.length;
      changed += chunk.filter((byte) => byte === 2).length;
    });
    broker.resume();
    await once(broker, 'close');
    expect(received).toBeGreaterThan(0);
    expect(received).toBeLessThan(large.length);
    expect(changed).toBeLessThan(10); // the head of the request has some, too
  });
});
