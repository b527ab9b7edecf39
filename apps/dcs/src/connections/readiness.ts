import { Injectable } from '@nestjs/common';
import { DittoError, toDittoError, withTimeout } from '#kernel';
import { ReadinessIndicator } from '#platform';
import { RedisConnection } from '#redis';
import { StateDatabase } from '#state';

const PING_TIMEOUT_MS = 1_000;

/** Nothing can be answered without Redis. */
@Injectable()
export class RedisReadiness extends ReadinessIndicator {
  readonly name = 'redis';
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    super();
    this.#redis = redis;
  }

  async check(): Promise<Readonly<Record<string, unknown>>> {
    await this.#redis.ping();
    return {};
  }
}

/** Without the state database leases are renewed and offsets kept, so the service stays ready and says what it can't do. */
@Injectable()
export class StateReadiness extends ReadinessIndicator {
  readonly name = 'state';
  readonly #state: StateDatabase;

  constructor(state: StateDatabase) {
    super();
    this.#state = state;
  }

  async check(): Promise<Readonly<Record<string, unknown>>> {
    try {
      await withTimeout(this.#state.ping(), PING_TIMEOUT_MS, createTimeoutError);
      return { grantsLeases: true };
    } catch (error) {
      const { code, message } = toDittoError(error);
      return { grantsLeases: false, because: { code, message } };
    }
  }
}

function createTimeoutError(): DittoError {
  return new DittoError('DITTO_STATE_UNAVAILABLE', `The state database did not answer within ${PING_TIMEOUT_MS} ms`, {
    retriable: true,
  });
}
