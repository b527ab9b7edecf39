import { type BaseOptions, type Connection, type ConnectionPool, type SASLOptions } from '@platformatic/kafka';

import { type ClientTls, expectTlsPeer } from '#kernel';

import { type KafkaConnectionOptions, resolveTimeouts } from './kafka-connection-options.ts';
import { isClosedConnection, isTlsRefusal, tlsErrors } from './kafka-refusals.ts';

type Answer = (error: unknown, response: unknown) => void;

/**
 * The options of @platformatic/kafka, and what its pools need beyond: which broker to expect at each address, and why a
 * broker ended a connection, which the library does not report to those who wait for an answer.
 */
export class ConnectionWatch {
  readonly base: BaseOptions;
  readonly #tls: ClientTls | null;

  /** Throws `DITTO_KAFKA_TLS` for texts that are not certificates or keys. */
  constructor(options: KafkaConnectionOptions) {
    const { tls = null, sasl, clientId, brokers } = options;
    const { connectTimeoutMs, requestTimeoutMs } = resolveTimeouts(options);
    if (tls) tlsErrors.assertUsable(tls);
    this.#tls = tls;
    this.base = {
      clientId,
      bootstrapBrokers: [...brokers],
      connectTimeout: connectTimeoutMs,
      requestTimeout: requestTimeoutMs,
      ...(tls && { tls: { ...tls } }),
      ...(sasl && { sasl: { ...sasl, mechanism: sasl.mechanism.toUpperCase() as SASLOptions['mechanism'] } }),
    };
  }

  /** A pool of a client with these options; before its first connection. */
  over(pool: ConnectionPool): void {
    pool.on('connecting', ({ broker, connection }) => {
      this.#expect(broker.host);
      explainEnd(connection);
    });
  }

  /** All connections have one set of options, which is read when the connection is made: right after 'connecting'. */
  #expect(host: string): void {
    if (this.#tls !== null) Object.assign(this.base.tls as object, expectTlsPeer(host, this.#tls.servername));
  }
}

/**
 * With TLS 1.3 a server refuses the client's certificate after the client takes the connection as made. Requests that
 * wait on it then get to know that it is closed; this gives them the reason instead.
 */
function explainEnd(connection: Connection): void {
  let refusal: Error | null = null;
  // also when nobody asks any more; without a listener an 'error' ends the process
  connection.on('error', (error: Error) => {
    if (isTlsRefusal(error)) refusal = error;
  });
  const sending = connection as unknown as { send: (...given: unknown[]) => unknown };
  const send = sending.send.bind(connection);
  sending.send = (...given) => {
    const answer = given.pop() as Answer;
    return send(...given, (error: unknown, response: unknown) =>
      answer(refusal !== null && isClosedConnection(error) ? refusal : error, response),
    );
  };
}

/** Before a pool is closed: the library's `destroySoon` would wait for a frozen broker for ever. */
export function destroySockets(pool: ConnectionPool): void {
  for (const [, { socket }] of pool) (socket as Connection['socket'] | undefined)?.destroy();
}
