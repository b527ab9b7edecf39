import { connect as connectPlain, type Socket } from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';
import { isTlsCode } from './tls-failure.ts';

export interface TlsQuestion {
  readonly host: string;
  readonly port: number;
  readonly tls: ConnectionOptions;
  /** What a server without TLS answers to. It is sent in plain text. */
  readonly plainPing: string | Uint8Array;
}

const ANSWER_MS = 1_000;
/** A server that refuses the client's certificate reports it after the handshake (TLS 1.3). */
const VERDICT_MS = 300;

/**
 * Why a server takes no encrypted connection, asked by one that says nothing more: a driver that writes at once is often
 * cut off before it gets the reason. Null when there is none to get.
 */
export async function askTlsRefusal({ host, port, tls, plainPing }: TlsQuestion): Promise<Error | null> {
  const encrypted = await hear(connect({ ...tls, host, port }), 'secureConnect');
  if (encrypted === 'answer') return null;
  if (encrypted !== 'silence' && isTlsCode(encrypted.code ?? '')) return encrypted;
  const plain = connectPlain({ host, port }, () => plain.write(plainPing));
  return (await hear(plain, 'data')) === 'answer'
    ? Object.assign(new Error('the server answers in plain text'), { code: 'ERR_TLS_NOT_OFFERED' })
    : null;
}

/** An answer is data, or the event with the connection kept for a while. */
async function hear(
  socket: Socket,
  event: 'secureConnect' | 'data',
): Promise<NodeJS.ErrnoException | 'answer' | 'silence'> {
  const { promise, resolve } = Promise.withResolvers<NodeJS.ErrnoException | 'answer' | 'silence'>();
  let timer = setTimeout(resolve, ANSWER_MS, 'silence');
  socket.once(event, () => {
    clearTimeout(timer);
    timer = setTimeout(resolve, VERDICT_MS, 'answer');
    socket.once('close', () =>
      resolve(Object.assign(new Error('the server ended the connection at once'), { code: 'ERR_TLS_ENDED' })),
    );
  });
  socket.on('data', () => resolve('answer'));
  socket.on('error', resolve);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}
