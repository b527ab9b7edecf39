import { lengthEncodedSize, readLengthEncoded, type EventBytes } from './event-header.ts';

/** HEARTBEAT_LOG_EVENT_V2: fields of type 1, length, value; 1 is the file, 2 the offset in 64 bits, 0 the end. */
export function parseHeartbeatV2({ bytes, body, end }: EventBytes): { file: string | null; offset: number | null } {
  let file: string | null = null;
  let offset: number | null = null;
  for (let at = body; at < end && bytes[at] !== 0;) {
    const field = bytes[at];
    const length = readLengthEncoded(bytes, at + 1);
    const value = at + 1 + lengthEncodedSize(bytes, at + 1);
    if (field === 1) file = bytes.toString('utf8', value, value + length);
    if (field === 2) offset = readLengthEncoded(bytes, value);
    at = value + length;
  }
  return { file, offset };
}
