import { CollectionNames } from '#change-events';
import { type MongoConfig, toMongoOptions } from '#configuration';
import {
  checkMongo,
  listMirroredTables,
  mirrorDatabase,
  MirrorLineage,
  MirrorMemory,
  MirrorWriter,
  MongoMirroredKeys,
  openMongo,
} from '#mongo';
import { type Checked } from '../cli/check.ts';
import { type SourceCheck } from '../cli/check-source.ts';
import { type OpenedSink, type OpenSinkOptions, type SinkKit } from './sink-kit.ts';

export const mongoKit: SinkKit<'mongo'> = {
  isMirror: true,
  metrics: [
    {
      counter: 'rejectedOutsideReplay',
      name: 'rejected_outside_replay',
      help: 'Writes that a newer document refused although no repeat was expected: look into it.',
    },
  ],
  createNames: () => new CollectionNames(),
  check: checkDatabases,
  open: openMirror,
};

async function checkDatabases(mongo: MongoConfig, sources: readonly SourceCheck[]): Promise<Checked> {
  const { databasePrefix } = mongo;
  const databases = sources.map(({ source: { name } }) => mirrorDatabase({ source: name, databasePrefix }));
  return { subject: 'MongoDB', findings: await checkMongo({ connection: toMongoOptions(mongo), databases }) };
}

/** MongoDB is connected now, since the start asks the mirror. */
async function openMirror(
  mongo: MongoConfig,
  { source, closers, signal, logger }: OpenSinkOptions,
): Promise<OpenedSink<'mongo'>> {
  const connection = await openMongo({ ...toMongoOptions(mongo), logger, signal });
  closers.add(() => connection.close());
  const { databasePrefix, lanes, maxBatchOperations: maxBatchChanges, maxBatchBytes, writeConcern } = mongo;
  const mirror = { connection, source: source.name, databasePrefix };
  // a command that is refused for now does not end the opening of the source
  const patience = { signal, logger };
  const writer = { ...mirror, lanes, maxBatchChanges, maxBatchBytes, writeConcern, logger };
  return {
    create: (isReplaying) => new MirrorWriter({ ...writer, isReplaying }),
    recall: () => new MirrorMemory({ ...mirror, logger }),
    findLost: () => Promise.resolve(null),
    listKeysAbove: () => Promise.resolve(new Map()),
    mirror: {
      lineage: new MirrorLineage({ ...mirror, patience }),
      keys: new MongoMirroredKeys({ ...mirror, logger }),
      tombstonesMs: mongo.tombstoneRetentionMs,
      listTables: () => listMirroredTables(mirror, patience),
    },
  };
}
