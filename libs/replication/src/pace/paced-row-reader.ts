import { type Row, type TableLayout, type TableName } from '#change-events';
import {
  RowReader,
  type ChunkRead,
  type ChunkRequest,
  type ImagesChunk,
  type KeysRead,
  type UndecodedChunk,
} from '../ports/row-reader.ts';
import { type Pacer } from './pacer.ts';

/**
 * Keys in one statement. With ten thousand the look-ups of 40,000 keys beside a writer took more than 50 s, with a thousand
 * less than 20 s (`npm run demo -- --rows 6000`): what a server does for such a list grows faster than the list.
 */
const MOST_KEYS = 1000;

/** Reads rows at the pace of a `Pacer`: chunks of fewer rows than asked for, and of keys the first ones. */
export class PacedRowReader extends RowReader {
  readonly #reader: RowReader;
  readonly #pacer: Pacer;

  constructor(reader: RowReader, pacer: Pacer) {
    super();
    this.#reader = reader;
    this.#pacer = pacer;
  }

  get mostRowBytes(): number {
    return this.#reader.mostRowBytes;
  }

  override findErrant(): string {
    return this.#reader.findErrant();
  }

  override listTables(signal: AbortSignal, dispatchedSet?: string): Promise<readonly TableLayout[]> {
    return this.#reader.listTables(signal, dispatchedSet);
  }

  override readLayout(table: TableName, signal: AbortSignal, dispatchedSet?: string): Promise<TableLayout | null> {
    return this.#reader.readLayout(table, signal, dispatchedSet);
  }

  override isGone(table: TableName, signal: AbortSignal): Promise<boolean> {
    return this.#reader.isGone(table, signal);
  }

  override estimateRows(tables: readonly TableName[], signal: AbortSignal): Promise<readonly number[]> {
    return this.#reader.estimateRows(tables, signal);
  }

  override readKeyOrder(layout: TableLayout, signal: AbortSignal): Promise<string> {
    return this.#reader.readKeyOrder(layout, signal);
  }

  override async readChunk(request: ChunkRequest): Promise<ChunkRead> {
    return this.#inTurn(request.limit, request.signal, (limit) => this.#reader.readChunk({ ...request, limit }));
  }

  override async readUndecoded(request: ChunkRequest): Promise<UndecodedChunk> {
    return this.#inTurn(request.limit, request.signal, (limit) => this.#reader.readUndecoded({ ...request, limit }));
  }

  override async readImages(request: ChunkRequest): Promise<ImagesChunk> {
    return this.#inTurn(request.limit, request.signal, (limit) => this.#reader.readImages({ ...request, limit }));
  }

  override async readKeys(request: Parameters<RowReader['readKeys']>[0]): Promise<KeysRead> {
    const { keys, signal } = request;
    let left: readonly Row[] = [];
    const read = await this.#inTurn(Math.min(keys.length, MOST_KEYS), signal, (count) => {
      left = keys.slice(count);
      return this.#reader.readKeys({ ...request, keys: keys.slice(0, count) });
    });
    return { ...read, unanswered: [...read.unanswered, ...left] };
  }

  /**
   * A key that is looked up counts as a row. The time of rows says nothing about that of keys alone, nor the other way
   * round.
   */
  override async findAbsent(request: Parameters<RowReader['findAbsent']>[0]): Promise<readonly Row[]> {
    const { keys, signal } = request;
    let absent: readonly Row[] = [];
    for (let first = 0; first < keys.length;) {
      const turn = await this.#pacer.beginLookUp(Math.min(keys.length - first, MOST_KEYS), signal);
      try {
        const asked = keys.slice(first, first + turn.rows);
        absent = [...absent, ...(await this.#reader.findAbsent({ ...request, keys: asked }))];
      } finally {
        turn.end({ rows: turn.rows, ms: null });
      }
      first += turn.rows;
    }
    return absent;
  }

  async #inTurn<T extends ChunkRead | ImagesChunk | KeysRead | UndecodedChunk>(
    most: number,
    signal: AbortSignal,
    read: (rows: number) => Promise<T>,
  ): Promise<T> {
    const turn = await this.#pacer.begin(most, signal);
    let done: { readonly rows: number; readonly ms: number | null } = { rows: turn.rows, ms: null };
    try {
      const result = await read(turn.rows);
      // a key that was looked up costs as much when its row is not there
      const absent = 'absent' in result ? result.absent.length : 0;
      const { rows } = result;
      done = { rows: ('count' in rows ? rows.count : rows.length) + absent, ms: result.selectMs ?? null };
      return result;
    } finally {
      turn.end(done);
    }
  }
}
