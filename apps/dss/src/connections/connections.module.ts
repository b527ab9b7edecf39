import { Global, Module, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DcsClient } from '#dcs-client';
import { type DittoConfig, toDcsOptions, toStateOptions } from '#configuration';
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
import { StateAuditLog, StateDatabase, StateNoticeStore } from '#state';
import { SourceStores } from './source-stores.ts';

/** DCS and the state database, and what depends on them. */
@Global()
@Module({
  providers: [
    {
      provide: StateDatabase,
      inject: [CONFIG],
      useFactory: ({ state }: DittoConfig) =>
        new StateDatabase({ ...toStateOptions(state), logger: createLogger('state') }),
    },
    {
      provide: DcsClient,
      inject: [CONFIG],
      useFactory: ({ dcs, auth }: DittoConfig) => {
        const token = findRpcToken(auth)?.reveal() ?? null;
        return new DcsClient({ ...toDcsOptions(dcs), token, logger: createLogger('dcs-client') });
      },
    },
    {
      provide: SourceStores,
      inject: [DcsClient, StateDatabase],
      useFactory: (dcs: DcsClient, state: StateDatabase) => new SourceStores(dcs, state),
    },
    { provide: AuditLog, inject: [StateDatabase], useFactory: (state: StateDatabase) => new StateAuditLog(state) },
    {
      provide: NoticeStore,
      inject: [StateDatabase],
      useFactory: (state: StateDatabase) => new StateNoticeStore(state),
    },
    Notifier,
    // without DCS no lease can be had, so nothing can run here
    provideReadiness('dcs', DcsClient, async (dcs) => ({ leases: (await dcs.listLeases()).length })),
  ],
  exports: [StateDatabase, DcsClient, SourceStores, AuditLog, Notifier],
})
export class ConnectionsModule implements OnModuleInit, OnApplicationShutdown {
  readonly #state: StateDatabase;
  readonly #dcs: DcsClient;
  readonly #shutdown: Shutdown;
  #opening: Promise<void> = Promise.resolve();

  constructor(state: StateDatabase, dcs: DcsClient, shutdown: Shutdown) {
    this.#state = state;
    this.#dcs = dcs;
    this.#shutdown = shutdown;
  }

  /** The service is up before its servers are: sources wait for what they need. */
  onModuleInit(): void {
    // it is tried until the shutdown
    this.#opening = this.#state.open(this.#shutdown.signal).catch(() => undefined);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#dcs.close();
    this.#shutdown.begin();
    await this.#opening;
    await this.#state.close();
  }
}
