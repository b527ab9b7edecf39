import { HEADER_BYTES } from './event-header.ts';

const FORMAT_VERSION = 4;
const VERSION_TEXT_BYTES = 50;
/** Format version 2, server version as text, time 4, then the size of the common header. */
const HEADER_SIZE_AT = 2 + VERSION_TEXT_BYTES + 4;
/** After the sizes of all events' own headers: algorithm 1, checksum 4. */
const FOOTER_BYTES = 5;
const ALGORITHM_CRC32 = 1;
const ALGORITHM_NONE = 0;

/**
 * Whether events after this FORMAT_DESCRIPTION_EVENT carry checksums; null when it is not one. A server that writes no
 * checksums sends it without a valid one (`send_format_description_event` in `sql/rpl_binlog_sender.cc`), so it is
 * recognized by its form: another event whose type was damaged must not switch the checks off.
 */
export function readsChecksums(bytes: Buffer, start: number, packetEnd: number): boolean | null {
  const body = start + HEADER_BYTES;
  if (packetEnd < body + HEADER_SIZE_AT + 1 + FOOTER_BYTES) return null;
  if (bytes.readUInt16LE(body) !== FORMAT_VERSION || bytes[body + HEADER_SIZE_AT] !== HEADER_BYTES) return null;
  if (!/^\d+\.\d+[^\0]*\0+$/.test(bytes.toString('latin1', body + 2, body + 2 + VERSION_TEXT_BYTES))) return null;
  const algorithm = bytes[packetEnd - FOOTER_BYTES];
  return algorithm === ALGORITHM_CRC32 ? true : algorithm === ALGORITHM_NONE ? false : null;
}
