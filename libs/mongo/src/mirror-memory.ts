import { READ_ROW_INDEX, transactionEndVersion, versionPrefix } from '#change-events';
import { Backoff, type Logger, retry } from '#kernel';
import { SinkMemory } from '#replication';
import { type mongo } from 'mongoose';
import { FROM_MAJORITY, IndexPages, PAGE_TIMEOUT_MS } from './index-pages.ts';
import {
  ABOVE_ALL_VERSIONS,
  LIVE_VERSIONS,
  type MirrorIndex,
  readByIndex,
  TOMBSTONE_VERSIONS,
  versionFloor,
  versionNumber,
} from './mirror-indexes.ts';
import { MirrorLineage } from './mirror-lineage.ts';
import { mirrorDatabase } from './mirror-tables.ts';
import { listCollections } from './mirrored-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { awaitMajority } from './write-command.ts';

export interface MirrorMemoryOptions {
  readonly connection: MongoConnection;
  readonly source: string;
  readonly databasePrefix?: string;
  readonly backoff?: { readonly initialMs: number; readonly maxMs: number };
  readonly logger: Logger;
}

const PAGE_DOCUMENTS = 5000;
const LINEAGE_DIGITS = 8;
const TRANSACTION_DIGITS = 28;
const ROW_INDEX_DIGITS = 8;
const MAX_LINEAGE = 0xffffffff;

/**
 * What the mirror still knows: versions and GTIDs of its documents and tombstones, by the indexes on `v`. A server that
 * does not answer is waited for; what was already read is kept.
 */
export class MirrorMemory extends SinkMemory {
  readonly #options: MirrorMemoryOptions;
  readonly #db: mongo.Db;

  constructor(options: MirrorMemoryOptions) {
    super();
    this.#options = options;
    this.#db = options.connection.db(mirrorDatabase(options));
  }

  override async newestLineage(signal: AbortSignal): Promise<number> {
    let newest = await this.#keepTrying(() => new MirrorLineage(this.#options).read(), signal);
    for (const scan of await this.#listScans(signal))
      for (let above: number | null = newest; above !== null;) {
        newest = above;
        above = await this.#keepTrying(() => findLineageAbove(scan, newest), signal);
      }
    return newest;
  }

  override async gtidsAbove(version: string, signal: AbortSignal): Promise<readonly string[]> {
    const greatest = new Map<string, { readonly number: bigint; readonly gtid: string }>();
    const from = version === '' ? 0n : versionNumber(version) + 1n;
    for (const { documents, index } of await this.#listScans(signal)) {
      const pages = new IndexPages({
        documents,
        index,
        from,
        below: ABOVE_ALL_VERSIONS,
        limit: PAGE_DOCUMENTS,
        fields: ['gtid'],
      });
      const next = (): ReturnType<IndexPages['next']> => this.#keepTrying(() => pages.next(), signal);
      for (let page = await next(); page !== null; page = await next()) {
        for (const { version: of, gtid } of page) if (gtid !== null && isOfLog(of)) keepGreatest(greatest, gtid);
        // the rest of the transaction has the same GTID, however many rows it has
        const last = page.at(-1)?.version ?? '';
        pages.passBy(versionFloor(transactionEndVersion(last.slice(0, TRANSACTION_DIGITS))));
      }
    }
    return [...greatest.values()].map(({ gtid }) => gtid);
  }

  /** All that can be scanned, once a majority has confirmed what the primary had applied. */
  async #listScans(signal: AbortSignal): Promise<readonly Scan[]> {
    await this.#keepTrying(() => awaitMajority(this.#db), signal);
    const names = await this.#keepTrying(() => listCollections(this.#db), signal);
    return names.flatMap((name) =>
      [LIVE_VERSIONS, TOMBSTONE_VERSIONS].map((index) => ({ documents: this.#db.collection(name), index })),
    );
  }

  #keepTrying<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const { backoff = { initialMs: 100, maxMs: 2000 }, logger } = this.#options;
    const log = { logger, message: 'the mirror can not be asked what it holds, trying again' };
    return retry(work, { backoff: new Backoff(backoff), signal, log });
  }
}

interface Scan {
  readonly documents: mongo.Collection;
  readonly index: MirrorIndex;
}

/** A lineage above `lineage` that a document has; null when none has. */
async function findLineageAbove({ documents, index }: Scan, lineage: number): Promise<number | null> {
  if (lineage >= MAX_LINEAGE) return null;
  const above = {
    ...index.covers,
    v: { $gte: versionPrefix(lineage + 1, '', 0), $lt: index.toKey(ABOVE_ALL_VERSIONS) },
  };
  const found = await readByIndex(documents, () =>
    documents.findOne<{ readonly v: string }>(above, {
      projection: { _id: 0, v: 1 },
      hint: index.name,
      maxTimeMS: PAGE_TIMEOUT_MS,
      ...FROM_MAJORITY,
    }),
  );
  return found === null ? null : parseInt(found.v.slice(0, LINEAGE_DIGITS), 16);
}

/** A read has coordinates of the transaction that it came after, and says nothing of what that changed. */
export function isOfLog(version: string): boolean {
  const rowIndex = version.slice(TRANSACTION_DIGITS, TRANSACTION_DIGITS + ROW_INDEX_DIGITS);
  return rowIndex !== READ_ROW_INDEX.toString(16);
}

/** Keeps the one with the highest number of each server and tag; MariaDB: of each domain and server. */
function keepGreatest(greatest: Map<string, { number: bigint; gtid: string }>, gtid: string): void {
  const parts = /^(.+)[:-](\d+)$/.exec(gtid);
  if (parts === null) return; // names no transaction: somebody's edit
  const [, of = '', digits = ''] = parts;
  const number = BigInt(digits);
  const known = greatest.get(of);
  if (known === undefined || known.number < number) greatest.set(of, { number, gtid });
}
