import { Global, Module, type OnApplicationShutdown } from '@nestjs/common';
import { DcsClient } from '#dcs-client';
import { type DittoConfig, toDcsOptions, toRedisOptions } from '#configuration';
import { CONFIG, createLogger, findRpcToken } from '#platform';
import { RedisConnection } from '#redis';
import { DcsReadiness, RedisReadiness } from './readiness.ts';

/** DCS and Redis. Both are waited for by whoever needs them: the service is up before they are. */
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
    DcsReadiness,
    RedisReadiness,
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
