import { silentLogger } from '#kernel';
import { openSink, uniqueName } from '#testing';
import { type mongo } from 'mongoose';
import {
  mirrorDatabase,
  type MirrorDocument,
  MirrorWriter,
  type MirrorWriterOptions,
  type MongoConnection,
  openMongo,
} from '../src/index.ts';

/** Types as they are stored, nothing promoted to JavaScript's own. */
const asStored = { promoteValues: false, promoteLongs: false, promoteBuffers: false };

/** One source's mirror on a real server, with a name of its own. */
export class MirrorFixture {
  readonly source = uniqueName('s').toLowerCase();
  readonly connection: MongoConnection;
  readonly fatal: Error[] = [];
  acknowledged = 0;

  private constructor(connection: MongoConnection) {
    this.connection = connection;
  }

  static async open(url: string): Promise<MirrorFixture> {
    return new MirrorFixture(
      await openMongo({ url, logger: silentLogger, serverSelectionTimeoutMs: 1000, socketTimeoutMs: 10_000 }),
    );
  }

  get db(): mongo.Db {
    return this.connection.db(mirrorDatabase({ source: this.source }));
  }

  readonly acknowledgement = {
    acknowledge: (count: number): void => {
      this.acknowledged += count;
    },
  };

  async openWriter(options: Partial<MirrorWriterOptions> = {}): Promise<MirrorWriter> {
    const { connection, source } = this;
    const writer = new MirrorWriter({ connection, source, isReplaying: () => false, logger: silentLogger, ...options });
    await openSink(writer, { onFatal: (error) => this.fatal.push(error) });
    return writer;
  }

  async find(collection: string, id: mongo.Document | string | number): Promise<mongo.WithId<mongo.Document> | null> {
    return this.db.collection(collection).findOne({ _id: id as never }, asStored);
  }

  async list(collection = 'shop.orders'): Promise<MirrorDocument[]> {
    return this.db
      .collection(collection)
      .find<MirrorDocument>({}, { sort: { _id: 1 } })
      .toArray();
  }

  async close(): Promise<void> {
    await this.db.dropDatabase();
    await this.connection.close();
  }
}
