import mongoose from 'mongoose';
import { isVersion, joinTexts, type ValueText, wrong } from './canonical-text.ts';
import type { OracleTable } from './column.ts';
import type { KeyedRow } from './source-rows.ts';
import { readBsonKey, readBsonValue } from './value-text.ts';

/** A document; a tombstone has no texts. */
export type MirrorDocument = Omit<KeyedRow, 'texts'> & { readonly texts: KeyedRow['texts'] | null };

/** The mirror's documents with a driver connection of our own. */
export class MirrorDocuments {
  readonly #client: mongoose.mongo.MongoClient;
  readonly #database: string;

  constructor(url: string, database: string) {
    // without promotion: Int32, Long and Double stay apart
    this.#client = new mongoose.mongo.MongoClient(url, {
      promoteValues: false,
      promoteLongs: false,
      readConcern: { level: 'majority' },
    });
    this.#database = database;
  }

  async open(): Promise<void> {
    await this.#client.connect();
  }

  async read(table: OracleTable, onDocument: (document: MirrorDocument) => void): Promise<void> {
    const collection = this.#client.db(this.#database).collection(`${table.database}.${table.table}`);
    const cursor = collection.find({}, { batchSize: 2_000, projection: { _id: 1, row: 1, v: 1 } });
    try {
      for (;;) {
        const documents = cursor.readBufferedDocuments();
        if (documents.length > 0) for (const document of documents) onDocument(describeDocument(table, document));
        else if (await cursor.hasNext()) continue;
        else return;
      }
    } finally {
      await cursor.close();
    }
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

type Fields = Readonly<Record<string, unknown>>;

export function describeDocument({ columns, key }: OracleTable, document: Fields): MirrorDocument {
  const id = document['_id'];
  const keyFields =
    key.length === 1
      ? [id]
      : readFields(
          id,
          key.map((index) => columns[index]?.name ?? ''),
        );
  const keyTexts = key.map((index, at) => {
    const column = columns[index];
    return column === undefined ? null : readBsonKey(column, keyFields[at]);
  });
  const row = document['row'];
  const text = joinTexts(keyTexts);
  if (row === undefined) return { key: text, texts: null };
  const texts: ValueText[] = columns.map((column) => readBsonValue(column, (row as Fields)[column.name]));
  const names = Object.keys(row as Fields);
  if (names.length > columns.length) texts.push(wrong('fields that are no columns', names));
  if (!isVersion(document['v'])) texts.push(wrong('no version', document['v']));
  return { key: text, texts };
}

/** The values of an embedded key if it has exactly these names in this order, for order matters in an `_id`. */
function readFields(id: unknown, names: readonly string[]): unknown[] {
  if (typeof id !== 'object' || id === null || Object.keys(id).join('\0') !== names.join('\0')) return [];
  return Object.values(id);
}
