import { Redis } from 'ioredis';
import { type CheckFinding, findError, findWarning, toCheckFinding, withTimeout } from '#kernel';
import { type RedisOptions } from './redis-connection.ts';
import { toRedisError, unavailable } from './redis-error.ts';
import { RedisKeys } from './redis-keys.ts';
import { type RedisTarget, toRedisTarget } from './redis-target.ts';
import { explainTrouble } from './redis-trouble.ts';

const CONNECT_TIMEOUT_MS = 5000;
const TIMEOUT_MS = 10_000;

/** Everything that is wrong with a Redis server for Ditto; reads only. */
export async function checkRedis({ url, tls, keyPrefix }: RedisOptions): Promise<readonly CheckFinding[]> {
  try {
    return await checkTarget(toRedisTarget(url, tls), new RedisKeys(keyPrefix));
  } catch (error) {
    return [toCheckFinding(toRedisError(error))];
  }
}

async function checkTarget(target: RedisTarget, keys: RedisKeys): Promise<readonly CheckFinding[]> {
  const troubles: Error[] = [];
  const client = new Redis(target.url, {
    ...(target.tls && { tls: target.tls }),
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  client.on('error', (error: Error) => troubles.push(error));
  try {
    return await withTimeout(inspect(client, keys), TIMEOUT_MS, () =>
      unavailable(`nothing came within ${TIMEOUT_MS} ms`),
    );
  } catch (error) {
    // the driver rejects with "Connection is closed." and reports the reason separately
    const trouble = troubles.at(-1);
    throw trouble === undefined ? error : await explainTrouble(target, trouble);
  } finally {
    client.disconnect();
  }
}

async function inspect(client: Redis, keys: RedisKeys): Promise<readonly CheckFinding[]> {
  await client.connect();
  const facts = parseInfo(await client.info());
  // a user may have rights on scripts and not on keys
  for (const key of [keys.ping(), keys.jobs()]) await client.eval("return redis.call('EXISTS', KEYS[1])", 1, key);
  const findings: CheckFinding[] = [];
  const version = facts.get('redis_version') ?? '0';
  if (!isAtLeast(version, [6, 2]))
    findings.push(findError('DITTO_REDIS_TOO_OLD', `Redis is ${version}`, 'Use version 6.2 or newer.'));
  if (facts.get('loading') === '1')
    findings.push(findWarning('DITTO_REDIS_UNAVAILABLE', 'Redis is loading its data', 'Wait until it has.'));
  if (facts.get('aof_enabled') === '0')
    findings.push(
      findWarning(
        'DITTO_REDIS_NOT_DURABLE',
        'appendonly is off: a restart loses the offsets, which then come back, older, from the state database',
        'CONFIG SET appendonly yes, and the same in redis.conf.',
      ),
    );
  const policy = facts.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction')
    findings.push(
      findWarning(
        'DITTO_REDIS_EVICTS',
        `maxmemory-policy is ${policy}: offsets, leases and jobs may be evicted`,
        'CONFIG SET maxmemory-policy noeviction, and the same in redis.conf.',
      ),
    );
  if (facts.get('role') === 'slave')
    findings.push(findError('DITTO_REDIS_READ_ONLY', 'this Redis is a replica', 'Give the URL of the primary.'));
  return findings;
}

function parseInfo(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split(/\r?\n/).flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return line.startsWith('#') || colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
    }),
  );
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [actualMajor = 0, actualMinor = 0] = version.split('.').map(Number);
  return actualMajor > major || (actualMajor === major && actualMinor >= minor);
}
