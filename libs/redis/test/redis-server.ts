import { RedisConnection } from '#redis';
import { testStack, uniqueName } from '#testing';

/** A connection with a key prefix that nobody else uses. */
export async function connectRedis(keyPrefix = uniqueName('test')): Promise<RedisConnection> {
  const redis = new RedisConnection({ url: (await testStack()).url('redis'), keyPrefix });
  await redis.waitUntilReady(AbortSignal.timeout(10_000));
  return redis;
}

/** What FLUSHALL does to one deployment; the server is shared with other tests. */
export async function loseAllData(redis: RedisConnection): Promise<void> {
  const prefix = redis.keys.sources().replace(/sources$/, '');
  await redis.run(async (client) => {
    const names = await client.keys(`${prefix}*`);
    if (names.length > 0) await client.del(names);
  });
}
