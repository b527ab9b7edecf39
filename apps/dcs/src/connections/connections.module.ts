import { Global, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { type DittoConfig, toRedisOptions, toStateOptions } from '#configuration';
import { CONFIG, createLogger, provideReadiness, Shutdown } from '#platform';
import { RedisConnection, RedisLeases, RedisOffsets, RedisRecentEvents, RedisStatusBoard } from '#redis';
import { StateAuditLog, StateCheckpointStore, StateDatabase, StateFencing } from '#state';
import { checkState } from './check-state.ts';

const REDIS_PATIENCE_MS = 3_000;
/** A server that hangs is given up before the caller gives up this instance, who so hears which server it was. */
const SHARE_OF_CALL_TIMEOUT = 0.75;

const overRedis = [RedisLeases, RedisOffsets, RedisStatusBoard].map((Store) => ({
  provide: Store,
  inject: [RedisConnection],
  useFactory: (redis: RedisConnection) => new Store(redis),
}));

const overState = [StateAuditLog, StateCheckpointStore, StateFencing].map((Store) => ({
  provide: Store,
  inject: [StateDatabase],
  useFactory: (state: StateDatabase) => new Store(state),
}));

/** Redis and the state database, and what depends on them. */
@Global()
@Module({
  providers: [
    {
      provide: RedisConnection,
      inject: [CONFIG],
      useFactory: ({ redis, dcs }: DittoConfig) => {
        const commandTimeoutMs = dcs.timeoutMs * SHARE_OF_CALL_TIMEOUT;
        return new RedisConnection({ ...toRedisOptions(redis), commandTimeoutMs, logger: createLogger('redis') });
      },
    },
    {
      provide: StateDatabase,
      inject: [CONFIG],
      useFactory: ({ state, dcs }: DittoConfig) => {
        const workTimeoutMs = dcs.timeoutMs * SHARE_OF_CALL_TIMEOUT;
        return new StateDatabase({ ...toStateOptions(state), workTimeoutMs, logger: createLogger('state') });
      },
    },
    {
      provide: RedisRecentEvents,
      inject: [RedisConnection, CONFIG],
      useFactory: (redis: RedisConnection, { dcs }: DittoConfig) => new RedisRecentEvents(redis, dcs.recentEvents),
    },
    ...overRedis,
    ...overState,
    // nothing can be answered without Redis
    provideReadiness('redis', RedisConnection, (redis) => redis.ping().then(() => ({}))),
    provideReadiness('state', StateDatabase, checkState),
  ],
  exports: [
    RedisConnection,
    StateDatabase,
    RedisRecentEvents,
    RedisLeases,
    RedisOffsets,
    RedisStatusBoard,
    StateAuditLog,
    StateCheckpointStore,
    StateFencing,
  ],
})
export class ConnectionsModule implements OnModuleInit, OnApplicationShutdown {
  readonly #redis: RedisConnection;
  readonly #state: StateDatabase;
  readonly #shutdown: Shutdown;
  readonly #logger = createLogger('connections');
  #opening: Promise<void> = Promise.resolve();

  constructor(redis: RedisConnection, state: StateDatabase, shutdown: Shutdown) {
    this.#redis = redis;
    this.#state = state;
    this.#shutdown = shutdown;
  }

  /**
   * Waits for Redis a little, so that a good start looks like one; for neither longer: without the state database leases
   * must still be renewed, and without Redis the service is up, not ready.
   */
  async onModuleInit(): Promise<void> {
    // it is tried until the shutdown
    this.#opening = this.#state.open(this.#shutdown.signal).catch(() => undefined);
    const patience = AbortSignal.any([this.#shutdown.signal, AbortSignal.timeout(REDIS_PATIENCE_MS)]);
    await this.#redis
      .waitUntilReady(patience)
      .catch(() => this.#logger.warn('continuing without Redis; not ready until it answers'));
  }

  async onApplicationShutdown(): Promise<void> {
    this.#redis.close();
    this.#shutdown.begin();
    await this.#opening;
    await this.#state.close();
  }
}
