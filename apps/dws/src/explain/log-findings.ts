import { isSameLayout, type TableLayout } from '#change-events';
import { type LoggedChange } from '#mysql';
import { compare, type Fault, type StoredRow } from '#verification';
import { versionOf } from '../verification/log-place.ts';
import { type LoggedChangeDto } from './explanation.dto.ts';
import { showRow } from './shown-json.ts';

const MOST_SHOWN = 10;

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
    const version = versionOf(change, this.#lineage);
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
    if (this.#stored !== null && isSameLayout(change.layout, this.#layout))
      this.againstNamed = compare(change.after, this.#stored);
  }
}

function describeChange({ op, transaction, rowIndex, layout, after }: LoggedChange, version: string): LoggedChangeDto {
  const { gtid, serverUuid, file, offset, commitMicros } = transaction;
  const shown = after === null ? { value: null, omittedBytes: 0 } : showRow(layout, after);
  return { op, version, gtid, serverUuid, file, offset, row: rowIndex, commitMicros, ...shown };
}
