export {
  averageShare,
  combinePasses,
  COVERAGE_WINDOWS,
  type CoveragePass,
  type CoverageShares,
  type CoverageWindow,
  type TableCoverage,
} from './coverage.ts';
export { type Cause, type CauseFound, findCause, type KeyFacts } from './cause.ts';
export {
  compare,
  isAtRest,
  judge,
  judgeAtRest,
  type Bounds,
  type Fault,
  type Judgement,
  type MismatchKind,
} from './judgement.ts';
export { EndedRow, MessageRow, type MessageTable, type StoredMessage } from './messages/message-row.ts';
export {
  CURRENT_STATES,
  type MismatchCount,
  type LostChange,
  type MismatchDetails,
  type MismatchFilter,
  type MismatchPage,
  type MismatchRecord,
  type MismatchState,
  MismatchStore,
  type NewMismatch,
  type StateChange,
  type Way,
} from './ports/mismatch-store.ts';
export {
  type HeldRepairs,
  type OpenTable,
  type RepairBreaker,
  type RepairChange,
  type RepairFilter,
  type RepairOutcome,
  type RepairPage,
  type RepairRecord,
  type RepairState,
  RepairStore,
} from './ports/repair-store.ts';
export { followOrder, isLogged, type KeyOrder } from './messages/key-order.ts';
export { type NamedChange, NamedChanges } from './ports/named-changes.ts';
export { isNotVerifiable, notVerifiable } from './ports/not-verifiable.ts';
export { RecordedStream, type RecordedCheckpoint, type RecordedTable } from './ports/recorded-stream.ts';
export {
  VerifiedSink,
  type ComparisonCounters,
  type Difference,
  type ForeignRow,
  type CoveredChanges,
  type ListedPage,
  type KeyRange,
  type RowsOfChunk,
  type StoredChunk,
  type StoredRow,
} from './ports/verified-sink.ts';
export {
  type ChunkEnd,
  type DueChunk,
  type NewRun,
  type RowCounts,
  type RunChunk,
  type RunError,
  type RunFilter,
  type RunRecord,
  type RunScope,
  type RunState,
  type RunTable,
  type RunTrigger,
  type TableHold,
  type TablePhase,
  type TakenChunk,
  VerificationRunStore,
} from './ports/verification-run-store.ts';
export { type RecentKey, RecentKeys, type RecentKeysOptions, type RecentKeysStatus } from './recent/recent-keys.ts';
export { RecentVerifier, type RecentVerifierOptions } from './recent/recent-verifier.ts';
export { POLICY_ACTOR, type RepairAudit, RepairPlanner, type RepairPlannerOptions } from './repairs/repair-planner.ts';
export { type RepairMode, RepairPolicy, type RepairPolicyOptions } from './repairs/repair-policy.ts';
export { type RepairedSink, Repairer, type RepairerOptions, type RepairTurn } from './repairs/repairer.ts';
export { sampleKeys } from './sample-keys.ts';
export { toNewMismatch } from './to-new-mismatch.ts';
export {
  RowVerifier,
  type ChunkEnds,
  type ChunkRequest,
  type ChunkVerdict,
  type Mismatch,
  type NotJudged,
  type RowVerifierOptions,
  type Verdict,
} from './row-verifier.ts';
export { TextSink, type TextSinkOptions } from './text-sink.ts';
export { compareTexts, type StoredTexts } from './texts/compare-texts.ts';
