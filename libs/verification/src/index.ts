export { type Cause, type CauseFound, findCause, type KeyFacts } from './cause.ts';
export { judge, type Bounds, type Fault, type Judgement, type MismatchKind } from './judgement.ts';
export { EndedRow, MessageRow, type MessageTable, type StoredMessage } from './messages/message-row.ts';
export { RecordedStream, type RecordedCheckpoint, type RecordedTable } from './ports/recorded-stream.ts';
export {
  VerifiedSink,
  type Difference,
  type ForeignRow,
  type ListedPage,
  type StoredRow,
} from './ports/verified-sink.ts';
export {
  RowVerifier,
  type ChunkVerdict,
  type Mismatch,
  type NotJudged,
  type RowVerifierOptions,
  type Verdict,
} from './row-verifier.ts';
