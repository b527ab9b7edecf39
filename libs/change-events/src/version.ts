import { DittoError, RESYNC_FIRST } from '#kernel';
import { type RowChange, type TableChange } from './change.ts';

/** The row index of every read: after all log changes of the transaction that it follows. */
export const READ_ROW_INDEX = 0xffffffff;

/** The coordinates whose order is the order of a row's changes (docs/architecture.md, "Versions"). */
export interface VersionParts {
  /** 0…2^32-1 */
  readonly lineage: number;
  /** 0…2^32-1; 0 when the log file is not known. */
  readonly fileNumber: number;
  /** 0…2^48-1 */
  readonly offset: number;
  /** 0…2^32-1 */
  readonly rowIndex: number;
  /** 0…2^32-1 */
  readonly readSequence: number;
}

/** Below the version of every change: any of them overwrites what has it. */
export const LOWEST_VERSION = '0'.repeat(44);

const MAX_32 = 0xffffffff;
const MAX_48 = 0xffffffffffff;
const VERSION = /^[0-9a-f]{44}$/;
const HEX_BYTES = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

function outOfRange(what: string, value: number): DittoError {
  return new DittoError('DITTO_VERSION_RANGE', `A version can't hold the ${what} ${value}.`, {
    remedy: `${RESYNC_FIRST}: a new lineage starts again at low numbers.`,
    context: { what, value },
  });
}

function hexByte(byte: number): string {
  return HEX_BYTES[byte] as string;
}

/** Eight hexadecimal digits. */
function hex32(value: number, what: string): string {
  if (!(value >= 0 && value <= MAX_32) || !Number.isInteger(value)) throw outOfRange(what, value);
  if (value < 0x10000) return '0000' + hexByte(value >>> 8) + hexByte(value & 0xff);
  return hexByte(value >>> 24) + hexByte((value >>> 16) & 0xff) + hexByte((value >>> 8) & 0xff) + hexByte(value & 0xff);
}

function hex48(value: number, what: string): string {
  if (!(value >= 0 && value <= MAX_48) || !Number.isInteger(value)) throw outOfRange(what, value);
  const high = Math.floor(value / 2 ** 32);
  return hexByte(high >>> 8) + hexByte(high & 0xff) + hex32(value - high * 2 ** 32, what);
}

/**
 * The number at the end of a log file's name: 7 for `binlog.000007`; MySQL writes more digits after 999999.
 * 0 for '' (a position that was never streamed from). Throws `DITTO_POSITION_FILE_INVALID`.
 */
export function binlogFileNumber(file: string): number {
  if (file === '') return 0;
  const digits = /\.(\d+)$/.exec(file)?.[1];
  if (digits === undefined) {
    throw new DittoError(
      'DITTO_POSITION_FILE_INVALID',
      `"${file}" is not a name of a binary log file: it ends in no number.`,
      {
        remedy: 'Give the file as SHOW BINARY LOGS lists it, for example binlog.000007.',
        context: { file },
      },
    );
  }
  return Number(digits);
}

/** Negative when `a` is older than `b`. Files of one server only; base names are not looked at. */
export function compareBinlogFiles(a: string, b: string): number {
  return binlogFileNumber(a) - binlogFileNumber(b);
}

let newestLineage = -1;
let newestFile = '';
let newestFilePrefix = '';

/** The part of a version that all changes of a transaction share: 28 hexadecimal digits. */
export function versionPrefix(lineage: number, file: string, offset: number): string {
  if (lineage !== newestLineage || file !== newestFile) {
    newestFilePrefix = hex32(lineage, 'lineage') + hex32(binlogFileNumber(file), 'log file number');
    newestLineage = lineage;
    newestFile = file;
  }
  return newestFilePrefix + hex48(offset, 'offset');
}

/** 44 hexadecimal digits that sort as text in the order of the changes of a row. */
export function changeVersion(change: RowChange | TableChange): string {
  const { readSequence = 0 } = change;
  return (
    change.transaction.versionPrefix +
    hex32(change.rowIndex, 'row index') +
    (readSequence === 0 ? '00000000' : hex32(readSequence, 'read sequence'))
  );
}

/** Of a version or its prefix. */
export function lineageOf(version: string): number {
  return parseInt(version.slice(0, 8), 16);
}

/** The version after everything of the transaction with this prefix: log changes and reads. */
export function transactionEndVersion(prefix: string): string {
  return `${prefix}ffffffffffffffff`;
}

/**
 * The version of a stream that begins at this place, before the first transaction of it: above everything that lies before
 * the place, below everything that begins there.
 */
export function startVersion(lineage: number, file: string, offset: number): string {
  return transactionEndVersion(versionPrefix(lineage, file, Math.max(0, offset - 1)));
}

export function formatVersion(parts: VersionParts): string {
  return (
    hex32(parts.lineage, 'lineage') +
    hex32(parts.fileNumber, 'log file number') +
    hex48(parts.offset, 'offset') +
    hex32(parts.rowIndex, 'row index') +
    hex32(parts.readSequence, 'read sequence')
  );
}

/** Throws `DITTO_VERSION_INVALID` for anything but 44 lower-case hexadecimal digits. */
export function parseVersion(text: string): VersionParts {
  if (!VERSION.test(text)) {
    throw new DittoError(
      'DITTO_VERSION_INVALID',
      `"${text}" is not a version, which has 44 lower-case hexadecimal digits.`,
      {
        context: { text },
      },
    );
  }
  return {
    lineage: lineageOf(text),
    fileNumber: parseInt(text.slice(8, 16), 16),
    offset: parseInt(text.slice(16, 28), 16),
    rowIndex: parseInt(text.slice(28, 36), 16),
    readSequence: parseInt(text.slice(36, 44), 16),
  };
}
