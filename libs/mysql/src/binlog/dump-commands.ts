import { GtidSet } from '#change-events';
import { encodeGtidSet } from './gtid-set-encoding.ts';

/**
 * Where a dump begins: with what a GTID set does not hold, in the file that the server finds or from the head of the one
 * that is named; or at an event of a file. MariaDB takes its GTIDs not in the command but in the session before it.
 */
export type DumpStart =
  | { readonly gtidSet: string; readonly file?: string }
  | { readonly file: string; readonly offset: number; readonly isMariaDb?: boolean }
  | { readonly mariaDbGtids: string };

const COM_BINLOG_DUMP = 0x12;
const COM_REGISTER_SLAVE = 0x15;
const COM_BINLOG_DUMP_GTID = 0x1e;
/** Asks for heartbeats that carry 64-bit offsets (MySQL 8.0.26; older servers ignore it). */
const USE_HEARTBEAT_EVENT_V2 = 0x02;
/** Files begin with four bytes of magic number. */
export const FIRST_OFFSET = 4;
/** COM_BINLOG_DUMP holds 32 bits of an offset. */
export const MOST_OLD_DUMP_OFFSET = 0xffffffff;
/** `HOSTNAME_LENGTH` of the oldest servers; a longer name is an error, not cut (`register_replica` in `sql/rpl_source.cc`). */
const MAX_HOST_BYTES = 60;
const MAX_PACKET_BYTES = 0xffffff;

/** COM_REGISTER_SLAVE without user, password and port. */
export function encodeRegistration(serverId: number, host: string): Buffer {
  const name = Buffer.from(host, 'utf8').subarray(0, MAX_HOST_BYTES);
  return Buffer.concat([
    Buffer.of(COM_REGISTER_SLAVE),
    unsigned(serverId, 4),
    Buffer.of(name.length),
    name,
    // user, password: empty texts; port, rank, source id: nothing
    Buffer.alloc(1 + 1 + 2 + 4 + 4),
  ]);
}

/**
 * A place beyond the offsets of COM_BINLOG_DUMP is asked for with COM_BINLOG_DUMP_GTID, whose file name, when there is
 * one, says where the dump begins, and its GTID set then only what is left out (`check_start_file` in
 * `sql/rpl_binlog_sender.cc`); only servers with `gtid_mode=ON` answer it.
 */
export function encodeDump(start: DumpStart, serverId: number): Buffer {
  if ('mariaDbGtids' in start) return encodeFileDump('', FIRST_OFFSET, 0, serverId);
  if ('gtidSet' in start) return encodeGtidDump(start.file ?? '', FIRST_OFFSET, GtidSet.parse(start.gtidSet), serverId);
  if (start.offset > MOST_OLD_DUMP_OFFSET) return encodeGtidDump(start.file, start.offset, GtidSet.empty, serverId);
  return encodeFileDump(start.file, start.offset, start.isMariaDb === true ? 0 : USE_HEARTBEAT_EVENT_V2, serverId);
}

function encodeFileDump(file: string, offset: number, flags: number, serverId: number): Buffer {
  return Buffer.concat([
    Buffer.of(COM_BINLOG_DUMP),
    unsigned(offset, 4),
    unsigned(flags, 2),
    unsigned(serverId, 4),
    Buffer.from(file, 'utf8'),
  ]);
}

/** The newest generation of readers: GTIDs, holes, checkpoints (MariaDB source, `sql/slave.h`, MARIA_SLAVE_CAPABILITY_GTID). */
const MARIADB_READER = '@mariadb_slave_capability = 4';

/**
 * What MariaDB reads from the session of a dump (MariaDB source, `init_binlog_sender` in `sql/sql_repl.cc`). In strict mode
 * it refuses a start that its log has only on either side of.
 */
function mariaDbSessionVariables(gtids: string): readonly string[] {
  return [
    MARIADB_READER,
    `@slave_connect_state = '${GtidSet.parse(gtids).toString()}'`,
    '@slave_gtid_strict_mode = 1',
    '@slave_gtid_ignore_duplicates = 0',
  ];
}

/** What the session of a dump has to say as well, as assignments of its SET. */
export function sessionVariablesOf(start: DumpStart): readonly string[] {
  if ('mariaDbGtids' in start) return mariaDbSessionVariables(start.mariaDbGtids);
  return 'isMariaDb' in start && start.isMariaDb === true ? [MARIADB_READER] : [];
}

function encodeGtidDump(file: string, offset: number, excluded: GtidSet, serverId: number): Buffer {
  const name = Buffer.from(file, 'utf8');
  const set = encodeGtidSet(excluded);
  const place = Buffer.alloc(8);
  place.writeBigUInt64LE(BigInt(offset));
  return Buffer.concat([
    Buffer.of(COM_BINLOG_DUMP_GTID),
    unsigned(USE_HEARTBEAT_EVENT_V2, 2),
    unsigned(serverId, 4),
    unsigned(name.length, 4),
    name,
    place,
    unsigned(set.length, 4),
    set,
  ]);
}

/** The packets of one command; a payload that fills its last packet is followed by an empty one. */
export function frameCommand(payload: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0, sequence = 0; at <= payload.length; at += MAX_PACKET_BYTES, sequence++) {
    const part = payload.subarray(at, at + MAX_PACKET_BYTES);
    parts.push(unsigned(part.length, 3), Buffer.of(sequence & 0xff), part);
  }
  return Buffer.concat(parts);
}

function unsigned(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeUIntLE(value, 0, size);
  return bytes;
}
