import { binlogFileNumber, type Checkpoint, formatVersion, parseVersion } from '#change-events';
import { type KeyLogRequest, type LoggedChange } from '#mysql';

/** Digits of a log file's name; more where they are needed. */
const FILE_DIGITS = 6;

/** Where in the log that is streamed a version is from; a text says why there is no such place. */
export function findLogPlace(version: string, { lineage, position }: Checkpoint): KeyLogRequest['from'] | string {
  const parts = parseVersion(version);
  if (parts.lineage !== lineage)
    return `the version is of lineage ${parts.lineage}, the source is at ${lineage}: its place is not in this log`;
  if (position.file === '' || parts.fileNumber === 0) return 'the version names no place of the log';
  const base = position.file.slice(0, position.file.lastIndexOf('.') + 1);
  const file = `${base}${String(parts.fileNumber).padStart(FILE_DIGITS, '0')}`;
  return { file, offset: parts.offset, serverUuid: position.serverUuid };
}

/** Of a change of that log. */
export function versionOf({ transaction, rowIndex }: LoggedChange, lineage: number): string {
  const { file, offset } = transaction;
  return formatVersion({ lineage, fileNumber: binlogFileNumber(file), offset, rowIndex, readSequence: 0 });
}
