import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import { askBrokers, encodeMetadataRequest, parseBrokerIds } from './kafka-probe.ts';

/** Metadata response, version 4, up to the brokers. */
function encodeBrokers(brokers: readonly { id: number; host: string; rack: string | null }[]): Buffer {
  const text = (value: string | null): Buffer => {
    const bytes = Buffer.from(value ?? '');
    const length = Buffer.alloc(2);
    length.writeInt16BE(value === null ? -1 : bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const number = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const body = Buffer.concat([
    number(1),
    number(0),
    number(brokers.length),
    ...brokers.flatMap(({ id, host, rack }) => [number(id), text(host), number(9092), text(rack)]),
  ]);
  return Buffer.concat([number(body.length), body]);
}

describe('the Kafka probe', () => {
  const answer = encodeBrokers([
    { id: 1, host: '127.0.0.1', rack: null },
    { id: 3, host: 'a-longer-host', rack: 'r1' },
  ]);

  it('reads the ids of all brokers, with and without a rack', () => {
    expect(parseBrokerIds(answer)).toEqual([1, 3]);
  });

  it('asks and takes an answer that comes in pieces', async () => {
    const server = createServer((socket) =>
      socket.on('data', (request) => {
        expect(request.equals(encodeMetadataRequest())).toBe(true);
        socket.write(answer.subarray(0, 9));
        setTimeout(() => socket.write(answer.subarray(9)), 10);
      }),
    );
    await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
    const { port } = server.address() as AddressInfo;
    expect(await askBrokers(port)).toEqual([1, 3]);
    await new Promise((resolve) => server.close(resolve));
    expect(await askBrokers(port)).toEqual([]);
  });
});
