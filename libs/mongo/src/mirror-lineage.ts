import { type mongo } from 'mongoose';
import { mirrorDatabase } from './mirror-tables.ts';
import { type MongoConnection } from './mongo-connection.ts';
import { classifyMongoError } from './mongo-errors.ts';

/** Ditto's own collection in a mirror database; tables' collections have a dot in their names. */
const OWN_COLLECTION = '_ditto';

interface LineageRecord {
  readonly _id: string;
  readonly lineage: number;
}

/**
 * The lineage of a source as its own MongoDB database knows it. It survives the loss of the state database: at start
 * the highest lineage known anywhere, plus one, wins when they disagree.
 */
export class MirrorLineage {
  private readonly records: mongo.Collection<LineageRecord>;

  constructor({
    connection,
    ...names
  }: {
    readonly connection: MongoConnection;
    readonly source: string;
    readonly databasePrefix?: string;
  }) {
    this.records = connection.db(mirrorDatabase(names)).collection<LineageRecord>(OWN_COLLECTION);
  }

  /** 0 when none was ever kept. */
  async read(): Promise<number> {
    try {
      const record = await this.records.findOne(
        { _id: 'lineage' },
        { readConcern: { level: 'majority' }, readPreference: 'primary' },
      );
      return record?.lineage ?? 0;
    } catch (error) {
      throw classifyMongoError(error);
    }
  }

  /** Raises it to at least `lineage`, confirmed by a majority; never lowers it. */
  async raise(lineage: number): Promise<void> {
    try {
      await this.records.updateOne(
        { _id: 'lineage' },
        { $max: { lineage } },
        { upsert: true, writeConcern: { w: 'majority' } },
      );
    } catch (error) {
      throw classifyMongoError(error);
    }
  }
}
