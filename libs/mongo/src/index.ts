export { BsonWriter } from './bson-writer.ts';
export { type GuardedResult, type GuardedWrite, type GuardedWriteOptions, writeGuarded } from './guarded-write.ts';
export { DocumentEncoder, type EncodedDocument, type KeyIdentity, type MirrorDocument } from './mirror-document.ts';
export { MirrorLineage } from './mirror-lineage.ts';
export { MirrorMemory, type MirrorMemoryOptions } from './mirror-memory.ts';
export { MongoMirroredKeys, type MongoMirroredKeysOptions } from './mongo-mirrored-keys.ts';
export { listMirroredTables, type MirrorName } from './mirrored-tables.ts';
export { mirrorDatabase } from './mirror-tables.ts';
export { MirrorWriter, type MirrorWriterOptions } from './mirror-writer.ts';
export { MongoConnection, type MongoConnectionOptions, openMongo } from './mongo-connection.ts';
export { classifyMongoError } from './mongo-errors.ts';
export { showDocument } from './shown-document.ts';
export {
  type SweepRequest,
  type SweepResult,
  TombstoneSweeper,
  type TombstoneSweeperOptions,
} from './tombstone-sweeper.ts';
export { checkMongo, type MongoCheckOptions } from './mongo-check.ts';
export { type StoredDocument } from './stored-document.ts';
export { VerifiedMirror } from './verified-mirror.ts';
export { type DriverTexts, readDriverTexts } from './texts/driver-text.ts';
