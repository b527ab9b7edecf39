/** Every Lua script that Ditto runs in Redis. Each is one atomic step. */

/**
 * Whether a rank (`checkpointRank`) is below the rank of the offset that is held; one from before there were ranks is
 * below all.
 */
const IS_OLDER = `
local function isOlder(key, rank)
  local held = redis.call('HGET', key, 'rank')
  return held and rank < held
end
`;

const NOW = `
local time = redis.call('TIME')
local nowMs = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
`;

const FORGET_EXPIRED = `
local expired = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', nowMs)
for i = 1, #expired do
  redis.call('HDEL', KEYS[1], expired[i])
  redis.call('ZREM', KEYS[2], expired[i])
end
`;

export const luaScripts = {
  /**
   * Compare-and-set of an offset. KEYS: token, offset. ARGV: token, rank, checkpoint,
   * verified token (what the state database says is newest; 0: not asked).
   * Returns outcome and highest token: `fenced`: an older token. `unverified`: a newer token than was ever seen here, so
   * Redis has lost something; ask the state database. `late`: something newer of the same token was stored before;
   * nothing changed. `stored`.
   */
  dittoPutOffset: {
    numberOfKeys: 2,
    lua: `${IS_OLDER}
local token, rank = tonumber(ARGV[1]), ARGV[2]
local newest = tonumber(redis.call('GET', KEYS[1]) or '0')
local verified = tonumber(ARGV[4])
if verified > newest then
  redis.call('SET', KEYS[1], verified)
  newest = verified
end
if token < newest then return {'fenced', newest} end
if token > newest then return {'unverified', newest} end
if isOlder(KEYS[2], rank) then return {'late', newest} end
redis.call('HSET', KEYS[2], 'token', token, 'rank', rank, 'checkpoint', ARGV[3])
return {'stored', newest}`,
  },

  /** Puts back an offset from the state database unless Redis holds a newer one. KEYS: offset. ARGV: token, rank, checkpoint. */
  dittoRestoreOffset: {
    numberOfKeys: 1,
    lua: `${IS_OLDER}
if isOlder(KEYS[1], ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'rank', ARGV[2], 'checkpoint', ARGV[3])
return 1`,
  },

  /**
   * Keeps others from asking for a token while one is being granted. KEYS: lease. ARGV: owner, nonce, TTL, attempt,
   * process, owner and token of a lease that is taken over (empty: none is).
   * The holder of a lease may reserve it again; its old grant ends with that. Returns 1, or 0 when another holds it, or
   * the same owner under a later attempt: then this one is late. Attempt 0: from a client that does not count them.
   */
  dittoReserveLease: {
    numberOfKeys: 1,
    lua: `
local held = redis.call('HMGET', KEYS[1], 'owner', 'attempt', 'token')
local attempt = tonumber(ARGV[4])
local isOwn = held[1] == ARGV[1]
local isTakenOver = held[1] == ARGV[6] and held[3] == ARGV[7]
if held[1] and not isOwn and not isTakenOver then return 0 end
if isOwn and attempt > 0 and attempt <= tonumber(held[2] or '0') then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'nonce', ARGV[2], 'token', 0, 'attempt', ARGV[4], 'process', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`,
  },

  /**
   * Turns a reservation into a lease. KEYS: token, lease. ARGV: owner, nonce, token, TTL. Refuses (0) a token that is not
   * above every other seen, and a lease that someone else holds or has reserved. After a loss of all data a free lease
   * is granted too.
   */
  dittoGrantLease: {
    numberOfKeys: 2,
    lua: `
local token = tonumber(ARGV[3])
local newest = tonumber(redis.call('GET', KEYS[1]) or '0')
local held = redis.call('HMGET', KEYS[2], 'nonce', 'token')
if held[1] and held[1] ~= ARGV[2] then return 0 end
local repeated = held[1] and tonumber(held[2]) == token
if token < newest or (token == newest and not repeated) then return 0 end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[2], 'owner', ARGV[1], 'nonce', ARGV[2], 'token', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1`,
  },

  /** KEYS: lease. ARGV: owner, token, TTL. Returns 1, or 0 when the lease is not (any more) this owner's with this token. */
  dittoRenewLease: {
    numberOfKeys: 1,
    lua: `
local held = redis.call('HMGET', KEYS[1], 'owner', 'token')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`,
  },

  /**
   * KEYS: lease. ARGV: owner, token, next owner (empty: none), TTL of its reservation. Returns 1 when it was this
   * owner's with this token.
   */
  dittoReleaseLease: {
    numberOfKeys: 1,
    lua: `
local held = redis.call('HMGET', KEYS[1], 'owner', 'token')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'owner', ARGV[3], 'nonce', '', 'token', 0, 'attempt', 0, 'process', '')
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1`,
  },

  /** Gives up what was reserved, or granted already, under a nonce. KEYS: lease. ARGV: nonce. */
  dittoAbandonLease: {
    numberOfKeys: 1,
    lua: `
if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1`,
  },

  /**
   * Keeps up to where changes were noticed. KEYS: turn, place. ARGV: owner of the turn, version, TTL of the place. Returns 1,
   * or 0 when the turn is not (any more) this owner's, or a higher version is kept.
   */
  dittoSaveRecentPlace: {
    numberOfKeys: 2,
    lua: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local held = redis.call('GET', KEYS[2])
if held and ARGV[2] < held then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1`,
  },

  /** KEYS: turn. ARGV: owner. Returns 1 when it was this owner's. */
  dittoEndRecentTurn: {
    numberOfKeys: 1,
    lua: `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return 1`,
  },

  /**
   * Takes turns of names that nobody has taken yet. KEYS: turns. ARGV: interval, most, then names. A turn begins at each
   * multiple of the interval, by Redis' clock; one from the future was taken before that clock was set back.
   * Returns the milliseconds until the next turns begin, then the names that were taken.
   */
  dittoTakeTurns: {
    numberOfKeys: 1,
    lua: `${NOW}
local every, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local startMs = nowMs - nowMs % every
local answer = {startMs + every - nowMs}
for i = 3, #ARGV do
  if #answer > most then break end
  local last = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]) or '-1')
  if last < startMs or last > nowMs then
    redis.call('ZADD', KEYS[1], startMs, ARGV[i])
    answer[#answer + 1] = ARGV[i]
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', startMs - 100 * every)
return answer`,
  },

  /** KEYS: status, expiry. ARGV: TTL, then name and status in turn. By Redis' clock; what has ended is forgotten. */
  dittoReportStatus: {
    numberOfKeys: 2,
    lua: `${NOW}
for i = 2, #ARGV, 2 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  redis.call('ZADD', KEYS[2], nowMs + tonumber(ARGV[1]), ARGV[i])
end
${FORGET_EXPIRED}
return 1`,
  },

  /** KEYS: status, expiry. Returns what has not ended, as name and status in turn. */
  dittoListStatus: {
    numberOfKeys: 2,
    lua: `${NOW}${FORGET_EXPIRED}
return redis.call('HGETALL', KEYS[1])`,
  },

  /**
   * Appends to the window of one table and cuts it to its bounds. KEYS: stream, tables. ARGV: table, most entries,
   * most age, then key and entry in turn.
   */
  dittoAppendEvents: {
    numberOfKeys: 2,
    lua: `${NOW}
local maxAgeMs = tonumber(ARGV[3])
for i = 4, #ARGV, 2 do
  redis.call('XADD', KEYS[1], '*', 'key', ARGV[i], 'entry', ARGV[i + 1])
end
redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', ARGV[2])
redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%.0f', math.max(nowMs - maxAgeMs, 0)))
redis.call('PEXPIRE', KEYS[1], maxAgeMs)
redis.call('ZADD', KEYS[2], nowMs, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', nowMs - maxAgeMs)
return 1`,
  },
} as const satisfies Record<string, { readonly numberOfKeys: number; readonly lua: string }>;
