import { type ClientTls, type Logger } from '#kernel';

import { type KafkaCompression } from './kafka-client.ts';

/**
 * How to prove who we are (SASL). Without TLS, PLAIN sends the password as it is, and whoever listens to SCRAM can try
 * passwords: both belong on a trusted network only.
 */
export interface KafkaSaslOptions {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

export interface KafkaConnectionOptions {
  /** `host:port`, at least one. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly logger: Logger;
  /** Null: plain text. */
  readonly tls?: ClientTls | null;
  readonly sasl?: KafkaSaslOptions | null;
  /**
   * By this name the brokers tell owners of one source apart: from the first batch of a later client with the same name on,
   * a partition takes none of an earlier one, which gets `DITTO_LEASE_FENCED`. Null: they don't.
   */
  readonly transactionalId?: string | null;
  /** Of whole record batches; default `none` (docs/decisions/0002-kafka-client.md). */
  readonly compression?: KafkaCompression;
  /** Until a connection is ready, TLS and SASL included; default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Until a broker has answered one request; default 10,000. */
  readonly requestTimeoutMs?: number;
  /** Upper bound for what takes several requests, such as finding and reaching a leader; default 30,000. */
  readonly deliveryTimeoutMs?: number;
}

/** Measured: docs/decisions/0002-kafka-client.md. */
export const DEFAULT_COMPRESSION: KafkaCompression = 'none';

export interface KafkaTimeouts {
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly deliveryTimeoutMs: number;
}

export function resolveTimeouts(options: KafkaConnectionOptions): KafkaTimeouts {
  return {
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 10_000,
    deliveryTimeoutMs: options.deliveryTimeoutMs ?? 30_000,
  };
}
