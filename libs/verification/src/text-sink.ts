import { type Row, type TableLayout } from '#change-events';
import { type Difference, type ListedPage, type StoredRow, VerifiedSink } from './ports/verified-sink.ts';
import { compareTexts, type StoredTexts } from './texts/compare-texts.ts';

/** A sink whose rows can be had as texts. */
export interface TextSinkOptions<Stored extends StoredRow> {
  readonly sink: Omit<VerifiedSink, 'read'> & {
    read(layout: TableLayout, keys: readonly Row[], signal: AbortSignal): Promise<readonly (Stored | null)[]>;
  };
  /** Null when what is stored can't be decoded. */
  readonly readTexts: (layout: TableLayout, stored: Stored, key: Row) => StoredTexts | null;
}

/**
 * A sink whose rows are compared as texts: with the texts that follow the columns in rows of a reader that gives them.
 * Rows are found, and their versions, damages and deletions known, as the sink itself does it.
 */
export class TextSink<Stored extends StoredRow> extends VerifiedSink {
  readonly #options: TextSinkOptions<Stored>;

  constructor(options: TextSinkOptions<Stored>) {
    super();
    this.#options = options;
  }

  override async read(
    layout: TableLayout,
    keys: readonly Row[],
    signal: AbortSignal,
  ): Promise<readonly (StoredRow | null)[]> {
    const { sink, readTexts } = this.#options;
    const found = await sink.read(layout, keys, signal);
    return found.map((stored, i) =>
      stored === null ? null : new TextRow(layout, stored, () => readTexts(layout, stored, keys[i] ?? [])),
    );
  }

  override list(request: Parameters<VerifiedSink['list']>[0], signal: AbortSignal): AsyncIterable<ListedPage> {
    return this.#options.sink.list(request, signal);
  }

  override listQuarantined(layout: TableLayout, keys: readonly Row[], signal: AbortSignal): Promise<readonly Row[]> {
    return this.#options.sink.listQuarantined(layout, keys, signal);
  }

  override demote(...request: Parameters<VerifiedSink['demote']>): Promise<boolean | null> {
    return this.#options.sink.demote(...request);
  }
}

class TextRow implements StoredRow {
  readonly #layout: TableLayout;
  readonly #stored: StoredRow;
  readonly #readTexts: () => StoredTexts | null;

  constructor(layout: TableLayout, stored: StoredRow, readTexts: () => StoredTexts | null) {
    this.#layout = layout;
    this.#stored = stored;
    this.#readTexts = readTexts;
  }

  get version(): string | null {
    return this.#stored.version;
  }

  get gtid(): string | null {
    return this.#stored.gtid;
  }

  get isDeleted(): boolean {
    return this.#stored.isDeleted;
  }

  get damage(): string | null {
    return this.#stored.damage;
  }

  get outrankedBy(): string | null {
    return this.#stored.outrankedBy ?? null;
  }

  get fingerprint(): string {
    return this.#stored.fingerprint;
  }

  compare(row: Row): readonly Difference[] | null {
    const texts = this.#readTexts();
    return texts === null ? null : compareTexts(this.#layout, textsOf(this.#layout, row), texts);
  }
}

/** What a reader that gives texts appends to the columns. */
function textsOf({ database, table, columns }: TableLayout, row: Row): readonly (string | null)[] {
  const texts = row.slice(columns.length);
  if (texts.length !== columns.length) throw new TypeError(`a row of ${database}.${table} came without texts`);
  return texts.map((text) => (text === null ? null : String(text)));
}
