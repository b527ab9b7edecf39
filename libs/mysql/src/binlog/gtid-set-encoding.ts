import { type GtidSet } from '#change-events';

const UUID_LENGTH = 36;
const UUID_BYTES = 16;
const TAGGED_FORMAT = 1n;

/**
 * A GTID set as COM_BINLOG_DUMP_GTID takes it (MySQL source, `Gtid_set::encode` in `sql/rpl_gtid_set.cc`): the number of
 * entries, then for each UUID and tag the number of its intervals, each as its first number and the one after its last.
 *
 * A set with tags is in the format of MySQL 8.3: the format is in the highest and the lowest byte of the count, and
 * each entry has a tag, its length doubled before it. Older servers know no tags, and refuse such a set as malformed.
 */
export function encodeGtidSet(set: GtidSet): Buffer {
  const entries = [...set.intervals].sort(([a], [b]) => (a < b ? -1 : 1));
  const isTagged = entries.some(([sid]) => sid.length > UUID_LENGTH);
  const count = BigInt(entries.length);
  const parts = [encodeNumber(isTagged ? (TAGGED_FORMAT << 56n) | (count << 8n) | TAGGED_FORMAT : count)];
  for (const [sid, intervals] of entries) {
    parts.push(Buffer.from(sid.slice(0, UUID_LENGTH).replaceAll('-', ''), 'hex').subarray(0, UUID_BYTES));
    if (isTagged) {
      const tag = Buffer.from(sid.slice(UUID_LENGTH + 1), 'ascii');
      parts.push(Buffer.of(tag.length << 1), tag);
    }
    parts.push(encodeNumber(BigInt(intervals.length / 2)));
    for (let i = 0; i < intervals.length; i += 2) {
      parts.push(encodeNumber(BigInt(intervals[i] as number)), encodeNumber(BigInt(intervals[i + 1] as number) + 1n));
    }
  }
  return Buffer.concat(parts);
}

function encodeNumber(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}
