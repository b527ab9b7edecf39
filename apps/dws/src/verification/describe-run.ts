import { formatTableName } from '#change-events';
import { type RunRecord, type RunScope, type RunTable } from '#verification';
import {
  type ScopeSummaryDto,
  type VerificationDetailsDto,
  type VerificationDto,
  type VerifiedTableDto,
} from '../http/verification.dto.ts';

/** Shown of one run at most. */
const MOST_DETAILS = 1000;

/** As lists have it. */
export function summarizeRun(run: RunRecord, tables: readonly RunTable[], nowMs: number): VerificationDto {
  return { ...countRun(run, tables, nowMs), scope: summarizeScope(run.scope) };
}

/** A scope may have thousands of keys, names or values. */
function summarizeScope(scope: RunScope): ScopeSummaryDto {
  const nothing = { table: null, keys: null, tables: null, conditions: null };
  switch (scope.kind) {
    case 'source':
      return { ...nothing, kind: scope.kind };
    case 'tables':
      return { ...nothing, kind: scope.kind, tables: scope.tables.length };
    case 'keys':
      return { ...nothing, kind: scope.kind, table: formatTableName(scope), keys: scope.keys.length };
    case 'range':
      return { ...nothing, kind: scope.kind, table: formatTableName(scope) };
    case 'filter':
      return { ...nothing, kind: scope.kind, table: formatTableName(scope), conditions: scope.where.length };
  }
}

function countRun(run: RunRecord, tables: readonly RunTable[], nowMs: number): Omit<VerificationDetailsDto, 'details'> {
  const sum = (count: (table: RunTable) => number): number => tables.reduce((all, table) => all + count(table), 0);
  const done = tables.filter(({ phase }) => phase === 'done');
  const open = tables.filter(({ phase }) => phase !== 'done');
  const rows = sum(({ counts }) => counts.rows);
  const estimatedRows = Math.max(
    rows,
    sum((table) => (table.phase === 'done' || table.phase === 'rechecks' ? table.counts.rows : table.estimatedRows)),
  );
  const seconds = Math.max(1, (run.endedAtMs ?? nowMs) - run.createdAtMs) / 1000;
  // keys that are listed are looked up as rows are
  const rate = (rows + sum(({ listed }) => listed)) / seconds;
  const left = sum((table) => (table.phase === 'done' ? 0 : findLeft(table)));
  const isWaiting = run.state === 'running' && open.length > 0 && open.every(({ hold }) => hold !== null);
  return {
    ...run,
    sinks: [...run.sinks],
    state: isWaiting ? 'waiting' : run.state,
    tables: tables.length,
    doneTables: done.length,
    notJudged: done.filter(({ hold }) => hold !== null).length,
    rows,
    mismatches: sum(({ counts }) => counts.mismatches),
    ignored: sum(({ counts }) => counts.ignored),
    secondWay: {
      rows: sum(({ secondWay }) => secondWay.rows),
      mismatches: sum(({ secondWay }) => secondWay.mismatches),
      ignored: sum(({ secondWay }) => secondWay.ignored),
      unsettled: sum(({ secondWay }) => secondWay.unsettled),
    },
    unsettled: sum(({ counts }) => counts.unsettled),
    quarantined: sum(({ counts }) => counts.quarantined),
    estimatedRows,
    rate: Math.round(rate),
    remainingMs: run.endedAtMs === null && rate > 0 ? Math.round((left / rate) * 1000) : null,
  };
}

export function describeRun(run: RunRecord, tables: readonly RunTable[], nowMs: number): VerificationDetailsDto {
  const details = [...tables].sort((a, b) => rank(a) - rank(b)).slice(0, MOST_DETAILS);
  return { ...countRun(run, tables, nowMs), details: details.map(describeTable) };
}

function findLeft({ phase, estimatedRows, counts, listed }: RunTable): number {
  const lookedUp = Math.max(0, Math.max(estimatedRows, counts.rows) - listed);
  return phase === 'rechecks' ? 0 : Math.max(0, estimatedRows - counts.rows) + lookedUp;
}

function rank({ phase, counts, secondWay, hold }: RunTable): number {
  if (hold !== null) return 0;
  if (counts.mismatches + secondWay.mismatches > 0) return 1;
  return phase === 'done' ? 3 : 2;
}

function describeTable(table: RunTable): VerifiedTableDto {
  const { database, table: name, sink, phase, counts, secondWay, listed, estimatedRows } = table;
  const { hold, startedAtMs, endedAtMs } = table;
  const { rows, equal, mismatches, ignored, unsettled } = secondWay;
  return {
    ...{ database, table: name, sink, phase, ...counts, secondWay: { rows, equal, mismatches, ignored, unsettled } },
    ...{ listed, estimatedRows, hold, startedAtMs, endedAtMs },
  };
}
