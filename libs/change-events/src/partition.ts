const MULTIPLIER = 0x5bd1e995;
const SEED = 0x9747b28c | 0;

/** The hash of `org.apache.kafka.common.utils.Utils.murmur2` over the first `length` bytes, as a signed 32-bit number. */
export function murmur2(data: Uint8Array, length = data.length): number {
  const tail = length & ~3;
  let hash = SEED ^ length;
  for (let i = 0; i < tail; i += 4) {
    let word =
      (data[i] as number) |
      ((data[i + 1] as number) << 8) |
      ((data[i + 2] as number) << 16) |
      ((data[i + 3] as number) << 24);
    word = Math.imul(word, MULTIPLIER);
    word ^= word >>> 24;
    hash = Math.imul(hash, MULTIPLIER) ^ Math.imul(word, MULTIPLIER);
  }
  const rest = length - tail;
  if (rest > 2) hash ^= (data[tail + 2] as number) << 16;
  if (rest > 1) hash ^= (data[tail + 1] as number) << 8;
  if (rest > 0) hash = Math.imul(hash ^ (data[tail] as number), MULTIPLIER);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, MULTIPLIER);
  return hash ^ (hash >>> 15);
}

/** The partition that Java's default partitioner chooses for a message key, the first `length` bytes of `key`. */
export function partitionForKey(key: Uint8Array, partitions: number, length = key.length): number {
  return (murmur2(key, length) & 0x7fffffff) % partitions;
}
