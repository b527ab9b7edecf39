import {
  collectionName,
  isCanonicalKey,
  type Row,
  type TableLayout,
  type TableName,
  versionPrefix,
} from '#change-events';
import { cutText, type Logger } from '#kernel';
import { MirroredKeys, type SelectedKeys } from '#replication';
import { type mongo } from 'mongoose';
import { decodeId } from './canonical-id.ts';
import { idDocument } from './id-values.ts';
import { IndexPages, nextPage } from './index-pages.ts';
import { LIVE_VERSIONS, TOMBSTONE_VERSIONS, versionNumber } from './mirror-indexes.ts';
import { listSelectedIds } from './mirror-listing.ts';
import { isOfLog } from './mirror-memory.ts';
import { mirrorDatabase } from './mirror-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { findNewestVersion } from './newest-version.ts';
import { selectDocuments } from './selected-documents.ts';
import { showField } from './shown-document.ts';
import { awaitMajority } from './write-command.ts';

export interface MongoMirroredKeysOptions {
  readonly connection: MongoConnection;
  readonly source: string;
  readonly databasePrefix?: string;
  readonly logger: Logger;
}

const SHOWN_CHARACTERS = 200;

/** Reads by the indexes on `v`, what a majority has confirmed after all that the primary had applied. */
export class MongoMirroredKeys extends MirroredKeys {
  readonly #options: MongoMirroredKeysOptions;

  constructor(options: MongoMirroredKeysOptions) {
    super();
    this.#options = options;
  }

  override async newestVersion(table: TableName, lineage: number): Promise<string> {
    const below = versionNumber(versionPrefix(lineage + 1, '', 0));
    const documents = this.#collectionOf(table);
    await awaitMajority(documents.db);
    const newest = await findNewestVersion(documents, LIVE_VERSIONS, below);
    const newestTombstone = await findNewestVersion(documents, TOMBSTONE_VERSIONS, below);
    return newest > newestTombstone ? newest : newestTombstone;
  }

  override async *list({
    layout,
    above,
    below,
    tombstonesAbove,
    limit,
  }: Parameters<MirroredKeys['list']>[0]): AsyncIterable<readonly Row[]> {
    const documents = this.#collectionOf(layout);
    await awaitMajority(documents.db);
    const range = { documents, below: versionNumber(below), limit };
    yield* this.#read(layout, new IndexPages({ ...range, index: LIVE_VERSIONS, from: after(above) }));
    if (tombstonesAbove === null) return;
    yield* this.#read(layout, new IndexPages({ ...range, index: TOMBSTONE_VERSIONS, from: after(tombstonesAbove) }));
  }

  /** After that `listChanged` sees all that the checkpoint covers, and more. */
  awaitMajority(): Promise<void> {
    return awaitMajority(this.#options.connection.db(mirrorDatabase(this.#options)));
  }

  /** Keys of rows and tombstones whose newest change came from the log, with a version above one and up to another. */
  async *listChanged({
    layout,
    above,
    upTo,
    limit,
  }: {
    readonly layout: TableLayout;
    readonly above: string;
    readonly upTo: string;
    readonly limit: number;
  }): AsyncIterable<readonly Row[]> {
    const documents = this.#collectionOf(layout);
    const range = { documents, from: after(above), below: versionNumber(upTo) + 1n, limit };
    for (const index of [LIVE_VERSIONS, TOMBSTONE_VERSIONS]) {
      const pages = new IndexPages({ ...range, index });
      for (let page = await nextPage(pages); page !== null; page = await nextPage(pages)) {
        const changed = page.filter(({ version }) => isOfLog(version));
        yield changed.flatMap(({ bytes }) => {
          const row = decodeId(layout, bytes);
          const isKey = layout.key.every((index) => isCanonicalKey(layout.columns[index], row?.[index] ?? null));
          return row !== null && isKey ? [row] : [];
        });
      }
    }
  }

  override async *select({
    layout,
    selection,
    after,
    limit,
  }: Parameters<MirroredKeys['select']>[0]): AsyncIterable<SelectedKeys> {
    const documents = this.#collectionOf(layout);
    await awaitMajority(documents.db);
    const { filter, isExact } = selectDocuments(layout, selection);
    for await (const page of listSelectedIds(documents, layout, after, limit, filter)) {
      const ids = page.documents.map((document) => idDocument(document));
      const keys = ids.map((bytes) => this.#decode(layout, bytes)).filter((row) => row !== null);
      yield { keys, isExact, after: page.after };
    }
  }

  async *#read(layout: TableLayout, pages: IndexPages): AsyncGenerator<readonly Row[]> {
    for (let page = await nextPage(pages); page !== null; page = await nextPage(pages)) {
      const rows = page.map(({ bytes }) => this.#decode(layout, bytes)).filter((row) => row !== null);
      if (rows.length > 0) yield rows;
    }
  }

  #collectionOf({ database, table }: TableName): mongo.Collection {
    return this.#options.connection.db(mirrorDatabase(this.#options)).collection(collectionName(database, table));
  }

  #decode(layout: TableLayout, bytes: Uint8Array): Row | null {
    const row = decodeId(layout, bytes);
    if (row === null)
      this.#options.logger.warn(
        'a document of the mirror has an _id that is not a key of its table, and is left as it is',
        {
          database: layout.database,
          table: layout.table,
          id: cutText(showField(idDocument(Buffer.from(bytes))), SHOWN_CHARACTERS),
        },
      );
    return row;
  }
}

/** The first key after a version; '' is before every version. */
function after(version: string): bigint {
  return version === '' ? 0n : versionNumber(version) + 1n;
}
