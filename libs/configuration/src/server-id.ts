import { createHash } from 'node:crypto';

/** A server id far from those that people give, the same for a name at each start. */
export function deriveServerId(source: string): number {
  return 1_000_000_000 + (createHash('sha256').update(source).digest().readUInt32BE(0) % 1_000_000_000);
}
