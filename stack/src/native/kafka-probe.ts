import { connect } from 'node:net';

/**
 * Asks a broker for the ids of the brokers it knows (Metadata request, version 4: the last with fixed-width fields;
 * https://kafka.apache.org/protocol#The_Messages_Metadata). Empty when it doesn't answer.
 */
export function askBrokers(port: number, timeoutMs = 1_000): Promise<number[]> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (ids: number[]): void => {
      socket.destroy();
      resolve(ids);
    };
    let answer = Buffer.alloc(0);
    socket.setTimeout(timeoutMs, () => finish([]));
    socket.on('error', () => finish([]));
    socket.on('close', () => finish([]));
    socket.on('connect', () => socket.write(encodeMetadataRequest()));
    socket.on('data', (part) => {
      answer = Buffer.concat([answer, part]);
      if (answer.length >= 4 && answer.length >= 4 + answer.readInt32BE(0)) finish(parseBrokerIds(answer));
    });
  });
}

/** No topics, no client id, no topic creation. */
export function encodeMetadataRequest(): Buffer {
  const request = Buffer.alloc(4 + 2 + 2 + 4 + 2 + 4 + 1);
  let at = request.writeInt32BE(request.length - 4, 0);
  at = request.writeInt16BE(3, at);
  at = request.writeInt16BE(4, at);
  at = request.writeInt32BE(1, at);
  at = request.writeInt16BE(-1, at);
  at = request.writeInt32BE(0, at);
  request.writeInt8(0, at);
  return request;
}

export function parseBrokerIds(answer: Buffer): number[] {
  let at = 4 + 4 + 4; // length, correlation id, throttle time
  const ids: number[] = [];
  const count = answer.readInt32BE(at);
  at += 4;
  for (let index = 0; index < count; index++) {
    ids.push(answer.readInt32BE(at));
    at += 4;
    at += 2 + answer.readInt16BE(at); // host
    at += 4; // port
    at += 2 + Math.max(0, answer.readInt16BE(at)); // rack, null is -1
  }
  return ids;
}
