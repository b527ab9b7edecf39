import { binlogFileNumber, type Checkpoint, formatVersion, parseVersion, type TableLayout } from '#change-events';
import { type KeyLogRequest, type LoggedChange } from '#mysql';
import { compare, type Fault, type StoredRow } from '#verification';
import { type LoggedChangeDto } from './explanation.dto.ts';
import { showRow } from './shown-json.ts';

const MOST_SHOWN = 10;
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

/** What the log says of a key, compared with what is stored of it. */
export class LogFindings {
  named: LoggedChangeDto | null = null;
  againstNamed: 'equal' | Fault | null = null;
  /** Version of the first change after what is stored. */
  next: string | null = null;
  newer = 0;
  readonly shown: LoggedChangeDto[] = [];
  readonly #lineage: number;
  readonly #layout: TableLayout;
  readonly #stored: StoredRow | null;

  constructor(lineage: number, layout: TableLayout, stored: StoredRow | null) {
    this.#lineage = lineage;
    this.#layout = layout;
    this.#stored = stored;
  }

  add(change: LoggedChange): void {
    const { file, offset } = change.transaction;
    const { rowIndex } = change;
    const place = { lineage: this.#lineage, fileNumber: binlogFileNumber(file), offset, rowIndex, readSequence: 0 };
    const version = formatVersion(place);
    const stored = this.#stored?.version ?? '';
    if (version < stored) return;
    if (version === stored) this.#addNamed(change, version);
    else {
      this.next ??= version;
      this.newer++;
      if (this.shown.length < MOST_SHOWN) this.shown.push(describeChange(change, version));
    }
  }

  /** Rows of two layouts are not comparable. */
  #addNamed(change: LoggedChange, version: string): void {
    this.named = describeChange(change, version);
    if (this.#stored !== null && change.layout.fingerprint === this.#layout.fingerprint)
      this.againstNamed = compare(change.after, this.#stored);
  }
}

function describeChange({ op, transaction, rowIndex, layout, after }: LoggedChange, version: string): LoggedChangeDto {
  const { gtid, serverUuid, file, offset, commitMicros } = transaction;
  const shown = after === null ? { value: null, omittedBytes: 0 } : showRow(layout, after);
  return { op, version, gtid, serverUuid, file, offset, row: rowIndex, commitMicros, ...shown };
}
