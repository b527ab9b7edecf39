export { delayReconnect, RedisConnection, type RedisOptions } from './redis-connection.ts';
export { isFromReplica, toRedisError, unavailable } from './redis-error.ts';
export { RedisKeys } from './redis-keys.ts';
export { type LeaseHolder, RedisLeases } from './redis-leases.ts';
export { type PutOutcome, RedisOffsets } from './redis-offsets.ts';
export {
  type RecentEvent,
  type RecentEventGap,
  RedisRecentEvents,
  type TableGap,
  type WindowBounds,
} from './redis-recent-events.ts';
export { RedisGapPlaces } from './redis-gap-places.ts';
export { RedisRecentPlaces } from './redis-recent-places.ts';
export { RedisStatusBoard } from './redis-status-board.ts';
export { RedisProbeTurns } from './redis-probe-turns.ts';
export { checkRedis } from './redis-check.ts';
export { type RedisTarget, toRedisTarget } from './redis-target.ts';
export { explainTrouble, isFromRedis } from './redis-trouble.ts';
