import { type mongo } from 'mongoose';
import { FROM_MAJORITY } from './index-pages.ts';
import { mirrorDatabase } from './mirror-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { classifyMongoError } from './mongo-errors.ts';
import { type Patience, tryPatiently } from './patience.ts';
import { awaitMajority, BY_MAJORITY, OWN_COLLECTION } from './write-command.ts';

interface LineageRecord {
  readonly _id: string;
  readonly lineage: number;
}

/**
 * The lineage of a source as its own MongoDB database knows it. It survives the loss of the state database: at start
 * the highest lineage known anywhere, plus one, wins when they disagree.
 */
export class MirrorLineage {
  readonly #records: mongo.Collection<LineageRecord>;
  readonly #patience: Patience | undefined;

  constructor({
    connection,
    patience,
    ...names
  }: {
    readonly connection: MongoConnection;
    readonly source: string;
    readonly databasePrefix?: string;
    /** Without it a command that is refused for now rejects. */
    readonly patience?: Patience;
  }) {
    this.#patience = patience;
    this.#records = connection.db(mirrorDatabase(names)).collection<LineageRecord>(OWN_COLLECTION);
  }

  /** 0 when none was ever kept. A `raise` that was applied and never answered is seen, too. */
  read(): Promise<number> {
    return tryPatiently(() => this.#read(), this.#patience);
  }

  /** Raises it to at least `lineage`, confirmed by a majority; never lowers it. */
  raise(lineage: number): Promise<void> {
    return tryPatiently(() => this.#raise(lineage), this.#patience);
  }

  async #read(): Promise<number> {
    await awaitMajority(this.#records.db);
    try {
      const record = await this.#records.findOne({ _id: 'lineage' }, FROM_MAJORITY);
      return record?.lineage ?? 0;
    } catch (error) {
      throw classifyMongoError(error);
    }
  }

  async #raise(lineage: number): Promise<void> {
    try {
      await this.#records.updateOne(
        { _id: 'lineage' },
        { $max: { lineage } },
        { upsert: true, writeConcern: BY_MAJORITY },
      );
    } catch (error) {
      throw classifyMongoError(error);
    }
  }
}
