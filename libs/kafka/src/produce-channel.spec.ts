import { once } from 'node:events';
import { createServer, type AddressInfo, connect, type Server, type Socket } from 'node:net';

import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Connection, Writer } from '@platformatic/kafka';

import { ProduceChannel } from './produce-channel.ts';

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

function openChannel(requestTimeoutMs = 5_000): ProduceChannel {
  const options = { clientId: 'test', serverTimeoutMs: 1_000, requestTimeoutMs };
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

/** Produce v9 about partitions of one topic, each with an error code. */
function answer(id: number, ...partitions: readonly (readonly [partition: number, errorCode: number])[]): Buffer {
  const writer = Writer.create()
    .appendInt32(id)
    .appendTaggedFields()
    .appendUnsignedVarInt(2)
    .appendString('t')
    .appendUnsignedVarInt(partitions.length + 1);
  for (const [partition, errorCode] of partitions)
    writer
      .appendInt32(partition)
      .appendInt16(errorCode)
      .appendInt64(errorCode === 0 ? 7n : -1n)
      .appendInt64(-1n)
      .appendInt64(0n)
      .appendUnsignedVarInt(1)
      .appendString(null)
      .appendTaggedFields();
  const body = writer.appendTaggedFields().appendInt32(0).appendTaggedFields().buffer;
  return Buffer.concat([Writer.create().appendInt32(body.length).buffer, body]);
}

const batch = Buffer.from('batch');

const written = { status: 'fulfilled', value: 7 };
const unavailable = { status: 'rejected', reason: { code: 'DITTO_KAFKA_UNAVAILABLE', retriable: true } };
const notLeader = { status: 'rejected', reason: { apiId: 'NOT_LEADER_OR_FOLLOWER' } };

describe('ProduceChannel', () => {
  function send(channel: ProduceChannel, ...partitions: readonly number[]): Promise<PromiseSettledResult<number>[]> {
    return Promise.allSettled(partitions.map((partition) => channel.send({ topic: 't', partition, batch })));
  }

  it('I1: gives each batch of a request the answer about its own partition', async () => {
    const channel = openChannel();
    const sent = send(channel, 0, 1, 2, 3);
    const [id] = await readIds(1);
    broker.write(answer(id as number, [3, 0], [1, 6], [0, 0], [7, 0]));
    expect(await sent).toMatchObject([written, notLeader, unavailable, written]);
  });

  it('tells requests by their answers, however these are cut, and gives those of others to the library', async () => {
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
    const channel = openChannel(100);
    expect(await send(channel, 0, 1)).toMatchObject([unavailable, unavailable]);
    expect(await send(channel, 0)).toMatchObject([unavailable]);
  });

  it('tries again behind an error that the library does not know', async () => {
    const channel = openChannel();
    const sent = send(channel, 0);
    const [id] = await readIds(1);
    broker.write(answer(id as number, [0, 32_000]));
    expect(await sent).toMatchObject([unavailable]);
  });

  it('does not give a slow connection up while answers come', async () => {
    const channel = openChannel(200);
    const sent: Promise<PromiseSettledResult<number>[]>[] = [];
    for (let partition = 0; partition < 5; partition++) {
      sent.push(send(channel, partition));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const ids = await readIds(5);
    for (const [partition, id] of ids.entries()) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      broker.write(answer(id, [partition, 0]));
    }
    expect((await Promise.all(sent)).flat()).toMatchObject([written, written, written, written, written]);
  });

  it('rejects what was given in the turn in which the connection ended', async () => {
    const channel = openChannel();
    const sent = send(channel, 0);
    socket.destroy();
    expect(await sent).toMatchObject([unavailable]);
  });

  it('reads no byte of a batch that it has rejected: the buffer is filled with other records then', async () => {
    broker.pause();
    const channel = openChannel(100);
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
