import { isUtf8 } from 'node:buffer';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';

import { type EnvelopeOperation } from '#change-events';
import { type KeyOrder } from '#verification';

import { unusable } from './fold-folder.ts';

/** The last message of a key, without what it contains. */
export interface FoldedPlace {
  readonly partition: number;
  /** Null when it is missing or malformed. */
  readonly version: string | null;
  readonly op: EnvelopeOperation | null;
  /** Null when no logged change of the key was seen. */
  readonly order: KeyOrder | null;
  /** The highest version that an earlier message of the key had in this partition; null when it was no higher one. */
  readonly outrankedBy: string | null;
}

export interface FoldedMessage extends FoldedPlace {
  readonly offset: number;
  readonly id: string;
  /** Null for a tombstone. */
  readonly value: Buffer | null;
}

/** The newest message that ended all rows of a partition. */
export interface TableEnd {
  readonly version: string;
  readonly gtid: string | null;
}

/** How far a partition is folded. */
export interface FoldedPartition {
  /** Where the partition began when it was first read. */
  readonly start: number;
  readonly position: number;
  readonly end: TableEnd | null;
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS messages (
  key BLOB PRIMARY KEY, "partition" INTEGER, "offset" INTEGER, version TEXT, id TEXT, op TEXT,
  newest TEXT, highest TEXT, outranked_by TEXT, is_deleted INTEGER, value BLOB);
CREATE TABLE IF NOT EXISTS partitions (
  "partition" INTEGER PRIMARY KEY, start INTEGER, position INTEGER, end_version TEXT, end_gtid TEXT);
CREATE TABLE IF NOT EXISTS topic (id TEXT, as_of_ms INTEGER);
`;

/**
 * The file dies with its worker: nothing is made safe against a crash. Node forbids the journal mode OFF. Without a lock
 * that is kept, each statement takes one and looks whether another process has written: two thirds of a search for a key.
 */
const SETTINGS =
  'PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -4000;';

/** Rows that are looked at without a pause. */
const REMOVED_AT_ONCE = 500;

type Place = readonly [
  partition: number,
  version: string | null,
  op: EnvelopeOperation | null,
  newest: string | null,
  highest: string | null,
  outrankedBy: string | null,
];

type Columns = readonly [...Place, offset: number, id: string, value: string | Uint8Array | null];

/**
 * The last message of each key of one topic, in a file of SQLite. A `WITHOUT ROWID` table is four times slower here when
 * keys come in no order. Every method but `removeBelow` is synchronous, and takes less than a millisecond.
 */
export class FoldStore {
  readonly #database: DatabaseSync;
  readonly #find: StatementSync;
  readonly #findPlace: StatementSync;
  readonly #put: StatementSync;
  readonly #list: StatementSync;
  readonly #pages: StatementSync;
  readonly #lastRow: StatementSync;
  readonly #removeBelow: StatementSync;
  readonly #savePartition: StatementSync;
  readonly #partitions: FoldedPartition[] = [];
  readonly #pageBytes: number;
  #isBroken = false;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    try {
      this.#database.exec(SETTINGS + SCHEMA);
      const prepare = (sql: string): StatementSync => {
        const statement = this.#database.prepare(sql);
        statement.setReturnArrays(true);
        return statement;
      };
      const place = '"partition", version, op, newest, highest, outranked_by';
      this.#find = prepare(`SELECT ${place}, "offset", id, value FROM messages WHERE key = ?`);
      this.#findPlace = prepare(`SELECT ${place} FROM messages WHERE key = ?`);
      this.#put = prepare(
        `INSERT INTO messages (key, "partition", "offset", version, id, op, newest, highest, outranked_by, is_deleted, value)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
         "partition" = excluded."partition", "offset" = excluded."offset", version = excluded.version, id = excluded.id,
         op = excluded.op, newest = excluded.newest, highest = excluded.highest, outranked_by = excluded.outranked_by,
         is_deleted = excluded.is_deleted, value = excluded.value`,
      );
      this.#list = prepare('SELECT key FROM messages WHERE key > ? AND is_deleted = 0 ORDER BY key LIMIT ?');
      this.#pages = prepare('PRAGMA page_count');
      this.#lastRow = prepare('SELECT max(rowid) FROM messages');
      this.#removeBelow = prepare(
        'DELETE FROM messages WHERE rowid > ? AND rowid <= ? AND "partition" = ? AND (version IS NULL OR version < ?)',
      );
      this.#savePartition = prepare('INSERT OR REPLACE INTO partitions VALUES (?, ?, ?, ?, ?)');
      this.#pageBytes = this.#number('PRAGMA page_size');
      this.#readPartitions();
    } catch (error) {
      // it may hold the lock of the file already
      this.#database.close();
      throw unusable(path, error);
    }
  }

  /** Of the file. */
  get bytes(): number {
    return (this.#pages.get() as unknown as readonly [number])[0] * this.#pageBytes;
  }

  /** By partition; without those that were never read. */
  get partitions(): readonly FoldedPartition[] {
    return this.#partitions;
  }

  /** Whether something was written in part: the store is of no use any more. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Runs `work`, which must not wait for anything, as one transaction. There is no way back when it throws. */
  write(work: () => void): void {
    this.#isBroken = true;
    this.#database.exec('BEGIN');
    work();
    this.#database.exec('COMMIT');
    this.#isBroken = false;
  }

  find(key: Uint8Array): FoldedMessage | null {
    const columns = this.#find.get(key) as unknown as Columns | undefined;
    if (columns === undefined) return null;
    const [partition, version, op, newest, highest, outrankedBy, offset, id, value] = columns;
    return {
      ...toPlace([partition, version, op, newest, highest, outrankedBy]),
      offset,
      id,
      value: value === null ? null : toBytes(value),
    };
  }

  findPlace(key: Uint8Array): FoldedPlace | null {
    const place = this.#findPlace.get(key) as unknown as Place | undefined;
    return place === undefined ? null : toPlace(place);
  }

  put(key: Uint8Array, { partition, offset, version, id, op, order, outrankedBy, value }: FoldedMessage): void {
    const isDeleted = value === null || op === 'd' ? 1 : 0;
    const { newest = null, highest = null } = order ?? {};
    this.#put.run(
      key,
      partition,
      offset,
      version,
      id,
      op,
      newest,
      highest,
      outrankedBy,
      isDeleted,
      value && toColumn(value),
    );
  }

  /** Keys whose last message is not a delete, in the order of their bytes. */
  list(after: Uint8Array | null, limit: number): readonly Buffer[] {
    const rows = this.#list.all(after ?? new Uint8Array(0), limit) as unknown as readonly (readonly [Uint8Array])[];
    return rows.map(([key]) => Buffer.from(key.buffer, key.byteOffset, key.byteLength));
  }

  /**
   * Removes the keys of a partition whose last message is older than this version, or has none: in parts, so that others
   * have their turn in between. Until it resolves the store is not to be used; when it rejects, it is to be called again.
   */
  async removeBelow(partition: number, version: string, signal: AbortSignal): Promise<void> {
    const [last] = this.#lastRow.get() as unknown as readonly [number | null];
    for (let after = 0; after < (last ?? 0); after += REMOVED_AT_ONCE) {
      this.write(() => this.#removeBelow.run(after, after + REMOVED_AT_ONCE, partition, version));
      await setImmediate();
      signal.throwIfAborted();
    }
  }

  savePartition(partition: number, folded: FoldedPartition): void {
    const { start, position, end } = folded;
    this.#savePartition.run(partition, start, position, end?.version ?? null, end?.gtid ?? null);
    this.#partitions[partition] = folded;
  }

  /** Null before anything was folded. `asOfMs`: what is folded was read after that time. */
  readTopic(): { readonly id: string; readonly asOfMs: number } | null {
    const row = this.#database.prepare('SELECT id, as_of_ms FROM topic').get();
    return row === undefined ? null : { id: String(row['id']), asOfMs: Number(row['as_of_ms']) };
  }

  saveTopic(id: string, asOfMs: number): void {
    this.write(() => {
      this.#database.exec('DELETE FROM topic');
      this.#database.prepare('INSERT INTO topic (id, as_of_ms) VALUES (?, ?)').run(id, asOfMs);
    });
  }

  close(): void {
    this.#database.close();
  }

  #readPartitions(): void {
    const rows = this.#database
      .prepare('SELECT "partition", start, position, end_version, end_gtid FROM partitions')
      .all();
    for (const row of rows) {
      const version = row['end_version'] as string | null;
      this.#partitions[Number(row['partition'])] = {
        start: Number(row['start']),
        position: Number(row['position']),
        end: version === null ? null : { version, gtid: row['end_gtid'] as string | null },
      };
    }
  }

  #number(sql: string): number {
    return Object.values(this.#database.prepare(sql).get() ?? {})[0] as number;
  }
}

/** Text where it can be: bytes come from SQLite as a buffer of their own each, which costs more than all else of a search. */
function toColumn(value: Buffer): string | Buffer {
  return isUtf8(value) && !value.includes(0) ? value.toString() : value;
}

function toBytes(column: string | Uint8Array): Buffer {
  return typeof column === 'string'
    ? Buffer.from(column)
    : Buffer.from(column.buffer, column.byteOffset, column.byteLength);
}

function toPlace([partition, version, op, newest, highest, outrankedBy]: Place): FoldedPlace {
  const order = newest === null || highest === null ? null : { newest, highest };
  return { partition, version, op, order, outrankedBy };
}
