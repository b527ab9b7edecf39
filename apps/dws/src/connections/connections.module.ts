import { Global, Module, type OnApplicationShutdown } from '@nestjs/common';
import { DcsClient } from '#dcs-client';
import { type DittoConfig, toDcsOptions, toRedisOptions } from '#configuration';
import { CONFIG, createLogger, findRpcToken, provideReadiness } from '#platform';
import { RedisConnection } from '#redis';

/** DCS and Redis. Those who need them wait for them: the service is up before they are. */
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
    // heartbeats are published there, and no tombstone is swept without the checkpoint that it keeps
    provideReadiness('dcs', DcsClient, async (dcs) => ({ services: (await dcs.listServices()).length })),
    // the jobs are in Redis
    provideReadiness('redis', RedisConnection, (redis) => redis.ping().then(() => ({}))),
  ],
  exports: [DcsClient, RedisConnection],
})
export class ConnectionsModule implements OnApplicationShutdown {
  readonly #dcs: DcsClient;
  readonly #redis: RedisConnection;

  constructor(dcs: DcsClient, redis: RedisConnection) {
    this.#dcs = dcs;
    this.#redis = redis;
  }

  onApplicationShutdown(): void {
    this.#dcs.close();
    this.#redis.close();
  }
}
