import { createHash, randomInt, randomUUID } from 'node:crypto';

/** Who a reader is to the server: a row of `SHOW REPLICAS`. */
export interface ReplicaIdentity {
  readonly serverId: number;
  readonly uuid: string;
}

const PRIVATE_SERVER_IDS = { from: 2 ** 31, below: 2 ** 32 - 1 };
const NAMESPACE = Buffer.from('8d1f2c9a6b3e4f07a5c4d2e19b7061f3', 'hex');

/**
 * A server ends the older of two dumps with the same UUID and compares nothing else (MySQL source,
 * `kill_zombie_dump_threads` in `sql/rpl_source.cc`). With the UUID made of the server id, two readers with one id don't
 * go unnoticed, and a reader that comes back is rid of its own former dump at once. Without an id both are random.
 */
export function makeReplicaIdentity(serverId: number | undefined): ReplicaIdentity {
  if (serverId === undefined) {
    return { serverId: randomInt(PRIVATE_SERVER_IDS.from, PRIVATE_SERVER_IDS.below), uuid: randomUUID() };
  }
  return { serverId, uuid: deriveUuid(serverId) };
}

/** RFC 9562, version 5. */
function deriveUuid(serverId: number): string {
  const hash = createHash('sha1').update(NAMESPACE).update(`server-id:${serverId}`).digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
