export {
  type CanonicalValue,
  type Column,
  type ColumnKind,
  type Row,
  type TableLayout,
  VALUE_TYPE,
  type ValueType,
} from './table-layout.ts';
export { isSameLayout } from './same-layout.ts';
export {
  asRowChanges,
  changeAt,
  rowIndexAt,
  type RowChange,
  type RowChanges,
  type RowOperation,
  type TableChange,
  type TransactionInfo,
} from './change.ts';
export { KeyImages, RowImages, ValueImages } from './row-images.ts';
export { SomeImages } from './some-images.ts';
export { keyText } from './key-text.ts';
export { ReadRows, type TextColumn, type TextPlaces, TextRows, ValueRows } from './text-rows.ts';
export { type FilePosition, type Position } from './position.ts';
export {
  type Checkpoint,
  checkpointRank,
  compareCheckpoints,
  coversChange,
  describeLogged,
  laterOf,
  type LoggedTransaction,
  mergeCheckpoints,
  type StoredCheckpoint,
} from './checkpoint.ts';
export { GtidSet, isGtid } from './gtid-set.ts';
export { GtidAccumulator } from './gtid-accumulator.ts';
export {
  binlogFileNumber,
  changeVersion,
  compareBinlogFiles,
  formatVersion,
  lineageOf,
  LOWEST_VERSION,
  parseVersion,
  READ_ROW_INDEX,
  startVersion,
  transactionEndVersion,
  versionPrefix,
  type VersionParts,
} from './version.ts';
export {
  compileJsonRowEncoder,
  compileKeyEncoder,
  encodeKey,
  type RowEncoder,
  type RowEncoderOptions,
} from './row-encoder.ts';
export { type BigintMode, encodeDouble, encodeGeometry, encodeVector, quoteJson } from './json-values.ts';
export {
  decodeKeyValues,
  encodeKeyValues,
  hasKey,
  hasSameKey,
  hasSameValues,
  keyValues,
  rowOfKey,
} from './key-values.ts';
export {
  type ColumnCondition,
  type ConditionOperator,
  decodeSelection,
  readRowScope,
  type RequestedScope,
  type RowScope,
  type RowSelection,
  type ScopeCondition,
  type ScopeValue,
  type SelectionScope,
} from './row-scope.ts';
export { mayBelong, needsWholeRow } from './selected-row.ts';
export { describeKey, KEYLESS } from './key-description.ts';
export { type EnvelopeOperation, isEnvelopeOperation } from './envelope-operation.ts';
export { type Envelope, type EnvelopeSource, findOperation, readEnvelope } from './envelope-reader.ts';
export { compareJsonRow, decodeJsonKey, decodeJsonRow, type JsonDifference } from './json-row.ts';
export { type ChangePart, EnvelopeWriter, type EnvelopeOptions } from './envelope.ts';
export { ChangeHeaderWriter, VERSION_BYTES } from './change-header.ts';
export { writeAscii, writeDigits, writeString } from './bytes.ts';
export { changeId, keyChanged, splitKeyChange } from './change-identity.ts';
export {
  collectionName,
  CollectionNames,
  distinctTables,
  formatTableName,
  mirrorDatabaseName,
  tableKey,
  topicName,
  TopicNames,
  type TableName,
  TableNames,
  parseCollectionName,
  parseTableName,
} from './names.ts';
export { murmur2, partitionForKey } from './partition.ts';
export { shortestFloat } from './float.ts';
export { isCanonicalKey } from './canonical-form.ts';
export { canonicalEquals, normalizeJson, normalizeNumber } from './canonical-equality.ts';
export {
  type ColumnSelection,
  compileColumnSelection,
  everyColumn,
  findIdleColumnPatterns,
  findReselectedTables,
} from './column-selection.ts';
export {
  compileDatabaseSelection,
  compileTableSelection,
  type TableSelection,
  type TableSelectionOptions,
} from './table-selection.ts';
export {
  encodeSchemaChange,
  encodeSchemaChangeKey,
  schemaChangeId,
  schemaChangeVersion,
  type SchemaChange,
  type TableDefinitionChange,
} from './schema-change.ts';
export { type DeclaredColumns, readDeclaredColumns } from './declared-columns.ts';
export { DEFAULT_SQL_MODE, type SqlMode } from './sql-tokens.ts';
export {
  classifyStatement,
  type Definition,
  type NamedTable,
  type Statement,
  type StatementKind,
  type StatementScope,
  type StatementTable,
} from './statement.ts';
