import { collectionName, mirrorDatabaseName, type TableLayout } from '#change-events';
import { InsertFirst } from './insert-first.ts';
import { DocumentEncoder } from './mirror-document.ts';
import { hashText } from './mirror-lanes.ts';

/** A table of the mirror as one layout describes it. */
export interface MirrorTable {
  readonly collection: MirrorCollection;
  readonly encoder: DocumentEncoder;
}

/** One collection, whatever layouts its table has had. */
export interface MirrorCollection {
  readonly name: string;
  readonly hash: number;
  readonly inserts: InsertFirst;
}

/** Database of a source's mirror. */
export function mirrorDatabase({
  source,
  databasePrefix = '',
}: {
  readonly source: string;
  readonly databasePrefix?: string;
}): string {
  return mirrorDatabaseName(databasePrefix + source);
}

/** The tables of one source; compiles a layout at its first use, and forgets it with the reader that it came from. */
export class MirrorTables {
  readonly #tables = new WeakMap<TableLayout, MirrorTable>();
  readonly #collections = new Map<string, MirrorCollection>();

  find(layout: TableLayout): MirrorTable {
    let table = this.#tables.get(layout);
    if (table === undefined) {
      table = { collection: this.#findCollection(layout), encoder: new DocumentEncoder(layout) };
      this.#tables.set(layout, table);
    }
    return table;
  }

  #findCollection({ database, table }: TableLayout): MirrorCollection {
    const name = collectionName(database, table);
    let collection = this.#collections.get(name);
    if (collection === undefined) {
      collection = { name, hash: hashText(name), inserts: new InsertFirst() };
      this.#collections.set(name, collection);
    }
    return collection;
  }
}
