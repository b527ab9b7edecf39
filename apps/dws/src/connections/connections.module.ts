import { Global, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DcsClient } from '#dcs-client';
import { type DittoConfig, toDcsOptions, toRedisOptions, toStateOptions } from '#configuration';
import {
  AuditLog,
  CONFIG,
  createLogger,
  findRpcToken,
  NoticeStore,
  Notifier,
  provideReadiness,
  Shutdown,
} from '#platform';
import { RedisConnection } from '#redis';
import { FailedEventStore } from '#replication';
import {
  StateAuditLog,
  StateDatabase,
  StateFailedEventStore,
  StateMismatchStore,
  StateNoticeStore,
  StateRepairStore,
  StateVerificationRunStore,
} from '#state';
import { MismatchStore, RepairStore, VerificationRunStore } from '#verification';
import { MirrorConnection } from './mirror-connection.ts';
import { TopicConnection } from './topic-connection.ts';

/** DCS, Redis, the state database, MongoDB and Kafka. Those who need them wait for them: the service is up before they are. */
@Global()
@Module({
  providers: [
    {
      provide: DcsClient,
      inject: [CONFIG],
      useFactory: ({ dcs, auth }: DittoConfig) => {
        const token = findRpcToken(auth)?.reveal() ?? null;
        return new DcsClient({ ...toDcsOptions(dcs), token, logger: createLogger('dcs-client') });
      },
    },
    {
      provide: RedisConnection,
      inject: [CONFIG],
      useFactory: ({ redis }: DittoConfig) =>
        new RedisConnection({ ...toRedisOptions(redis), logger: createLogger('redis') }),
    },
    {
      provide: StateDatabase,
      inject: [CONFIG],
      useFactory: ({ state }: DittoConfig) =>
        new StateDatabase({ ...toStateOptions(state), logger: createLogger('state') }),
    },
    { provide: AuditLog, inject: [StateDatabase], useFactory: (state: StateDatabase) => new StateAuditLog(state) },
    {
      provide: StateNoticeStore,
      inject: [StateDatabase],
      useFactory: (state: StateDatabase) => new StateNoticeStore(state),
    },
    { provide: NoticeStore, useExisting: StateNoticeStore },
    Notifier,
    {
      provide: VerificationRunStore,
      inject: [StateDatabase],
      useFactory: (state: StateDatabase) => new StateVerificationRunStore(state),
    },
    {
      provide: MismatchStore,
      inject: [StateDatabase],
      useFactory: (state: StateDatabase) => new StateMismatchStore(state),
    },
    {
      provide: RepairStore,
      inject: [StateDatabase],
      useFactory: (state: StateDatabase) => new StateRepairStore(state),
    },
    {
      provide: FailedEventStore,
      inject: [StateDatabase],
      useFactory: (state: StateDatabase) => new StateFailedEventStore(state),
    },
    MirrorConnection,
    TopicConnection,
    // heartbeats are published there, and no tombstone is swept without the checkpoint that it keeps
    provideReadiness('dcs', DcsClient, async (dcs) => ({ services: (await dcs.listServices()).length })),
    // the jobs are in Redis
    provideReadiness('redis', RedisConnection, (redis) => redis.ping().then(() => ({}))),
  ],
  exports: [
    DcsClient,
    RedisConnection,
    StateDatabase,
    AuditLog,
    Notifier,
    StateNoticeStore,
    VerificationRunStore,
    MismatchStore,
    RepairStore,
    FailedEventStore,
    MirrorConnection,
    TopicConnection,
  ],
})
export class ConnectionsModule implements OnModuleInit, OnApplicationShutdown {
  readonly #dcs: DcsClient;
  readonly #redis: RedisConnection;
  readonly #state: StateDatabase;
  readonly #shutdown: Shutdown;
  #opening: Promise<void> = Promise.resolve();

  constructor(dcs: DcsClient, redis: RedisConnection, state: StateDatabase, shutdown: Shutdown) {
    this.#dcs = dcs;
    this.#redis = redis;
    this.#state = state;
    this.#shutdown = shutdown;
  }

  onModuleInit(): void {
    // it is tried until the shutdown
    this.#opening = this.#state.open(this.#shutdown.signal).catch(() => undefined);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#dcs.close();
    this.#redis.close();
    this.#shutdown.begin();
    await this.#opening;
    await this.#state.close();
  }
}
