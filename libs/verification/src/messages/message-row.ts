import { hash } from 'node:crypto';
import {
  type BigintMode,
  binlogFileNumber,
  compareJsonRow,
  compileJsonRowEncoder,
  decodeJsonRow,
  type Envelope,
  parseVersion,
  readEnvelope,
  type Row,
  type RowEncoder,
  type TableLayout,
} from '#change-events';
import { cutText } from '#kernel';
import { type ComparisonCounters, type Difference, type StoredRow } from '../ports/verified-sink.ts';

/** The newest message of a key. */
export interface StoredMessage {
  /** The header `ditto.version`; null when it is missing or malformed. */
  readonly version: string | null;
  /** The header `ditto.id`; '' where another program published. */
  readonly id: string;
  /** Null for a tombstone. */
  readonly value: Buffer | null;
  /** A higher version that an earlier message of the key had. */
  readonly outrankedBy?: string | null;
}

/** What the messages of a table are compared with. */
export interface MessageTable {
  readonly layout: TableLayout;
  /** The source's name, as in the envelopes. */
  readonly source: string;
  readonly bigint: BigintMode;
  /** Counted there. */
  readonly counters?: ComparisonCounters;
}

const SHOWN_LENGTH = 200;
const LOG_FILE = /^$|\.\d+$/;
/** Of MySQL with and without a tag, or of MariaDB; a `ditto.id` of a logged change continues with the index of the row. */
const GTID_OF_ID = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?::[a-z_][a-z0-9_]*)?:\d+|\d+-\d+-\d+)\//;

/** A message of a topic as what a sink holds of a row. */
export class MessageRow implements StoredRow {
  readonly version: string | null;
  readonly damage: string | null;
  readonly #message: StoredMessage;
  readonly #table: MessageTable;
  readonly #envelope: Envelope | null;

  constructor(message: StoredMessage, table: MessageTable) {
    this.version = message.version;
    this.#message = message;
    this.#table = table;
    this.#envelope = message.value === null ? null : readEnvelope(message.value);
    this.damage = this.#findDamage();
  }

  /** As it was published; null for a tombstone. */
  get value(): Buffer | null {
    return this.#message.value;
  }

  get gtid(): string | null {
    return this.#envelope === null ? (GTID_OF_ID.exec(this.#message.id)?.[1] ?? null) : this.#envelope.source.gtid;
  }

  get isDeleted(): boolean {
    return this.#message.value === null || this.#envelope?.op === 'd';
  }

  get outrankedBy(): string | null {
    return this.#message.outrankedBy ?? null;
  }

  get fingerprint(): string {
    const { version, value } = this.#message;
    return `${version ?? ''}/${value === null ? 'tombstone' : hash('sha256', value)}`;
  }

  /** Whether it has left this row, to the last byte. */
  hasBytesOf(row: Row): boolean {
    return this.#envelope?.after?.equals(Buffer.from(encoderOf(this.#table)(row))) ?? false;
  }

  compare(row: Row): readonly Difference[] | null {
    const after = this.#envelope?.after ?? null;
    if (after === null) return null;
    const { layout, bigint, counters } = this.#table;
    const isSame = this.hasBytesOf(row);
    if (counters !== undefined) counters[isSame ? 'byBytes' : 'byValue']++;
    if (isSame) return [];
    const differences = compareJsonRow(layout, row, after, bigint);
    if (differences === null) return null;
    return differences.map(({ column, expected, found }) => ({ column, source: cut(expected), sink: cut(found) }));
  }

  /** The row as this message has left it, null when it deleted it; undefined when it is not what Ditto writes. */
  readRow(): Row | null | undefined {
    if (this.damage !== null) return undefined;
    if (this.isDeleted) return null;
    const after = this.#envelope?.after ?? null;
    return after === null ? undefined : (decodeJsonRow(this.#table.layout, after, this.#table.bigint) ?? undefined);
  }

  #findDamage(): string | null {
    if (this.#message.value === null) return null;
    const envelope = this.#envelope;
    if (envelope === null) return 'it is not an envelope as Ditto writes it';
    const { op, after, source } = envelope;
    const { layout } = this.#table;
    if (source.name !== this.#table.source || source.db !== layout.database || source.table !== layout.table)
      return `it names the table ${source.name}.${source.db}.${source.table}`;
    if (op === 't') return 'it has the key of a row and ends a table';
    if ((op === 'd') !== (after === null))
      return `its operation is ${op}, its row is ${after === null ? 'not ' : ''}there`;
    return this.#isAtPlaceOfVersion(source) ? null : 'its place in the log is not the one that its version names';
  }

  /** What a read found has the version of the transaction that it followed, whose place need not be in the envelope. */
  #isAtPlaceOfVersion({ isLogged, file, pos, row }: Envelope['source']): boolean {
    if (this.version === null || !isLogged) return true;
    const { fileNumber, offset, rowIndex } = parseVersion(this.version);
    return pos === offset && row === rowIndex && LOG_FILE.test(file) && binlogFileNumber(file) === fileNumber;
  }
}

/** All rows of the table had ended, with a truncate or a drop. */
export class EndedRow implements StoredRow {
  readonly version: string;
  readonly gtid: string | null;
  readonly isDeleted = true;
  readonly damage = null;

  constructor(version: string, gtid: string | null) {
    this.version = version;
    this.gtid = gtid;
  }

  get fingerprint(): string {
    return `${this.version}/ended`;
  }

  compare(): null {
    return null;
  }
}

const encoders = new WeakMap<TableLayout, Map<BigintMode, RowEncoder>>();

function encoderOf({ layout, bigint }: MessageTable): RowEncoder {
  const ofLayout = encoders.get(layout) ?? new Map<BigintMode, RowEncoder>();
  encoders.set(layout, ofLayout);
  let encode = ofLayout.get(bigint);
  if (encode === undefined) ofLayout.set(bigint, (encode = compileJsonRowEncoder(layout, { bigint })));
  return encode;
}

function cut(text: string | null): string | null {
  return text === null ? null : cutText(text, SHOWN_LENGTH);
}
