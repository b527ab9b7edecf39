import type { Comparison, TableComparison } from '../test/oracle/compare-all.ts';
import type { DssStatus } from './dss-status.ts';
import { formatCount, formatDuration } from './figures.ts';
import type { WriterCounts } from './writer.ts';

export interface ProofFacts {
  readonly comparison: Comparison;
  readonly comparedInMs: number;
  readonly copiedRows: number;
  readonly copiedInMs: number;
  readonly peakRowsPerSecond: number;
  readonly writer: WriterCounts;
  /** The newest status while the writer was at work and the copy complete. */
  readonly following: DssStatus | null;
  /** From the last commit until the checkpoint covered it. */
  readonly caughtUpInMs: number;
}

/** What was compared and measured, as lines; nothing in it is an assumption. */
export function renderProof(facts: ProofFacts): string[] {
  const { comparison, writer, following } = facts;
  const rows = comparison.tables.reduce((sum, table) => sum + table.rows, 0);
  const messages = comparison.tables.reduce((sum, { kafka }) => sum + kafka.messages, 0);
  const repeats = comparison.tables.reduce((sum, { kafka }) => sum + kafka.repeats, 0);
  return [
    `${'table'.padEnd(36)}${['MySQL rows', 'documents', 'Kafka keys', 'messages', 'differences'].map((name) => name.padStart(13)).join('')}`,
    ...comparison.tables.map(renderTable),
    '',
    `Compared ${formatCount(rows)} rows of ${comparison.tables.length} tables with MongoDB and Kafka, value for value, and the order of ${formatCount(messages)} messages, in ${formatDuration(facts.comparedInMs)}.`,
    `Copied ${formatCount(facts.copiedRows)} rows in ${formatDuration(facts.copiedInMs)} (${formatCount((facts.copiedRows / Math.max(1, facts.copiedInMs)) * 1_000)} rows/s, at most ${formatCount(facts.peakRowsPerSecond)}) while the writer changed ${formatCount(writer.inserted + writer.updated + writer.deleted + writer.rekeyed)} rows in ${formatCount(writer.transactions)} transactions.`,
    ...(following === null ? [] : [renderLatencies(following)]),
    `The checkpoint covered the last commit ${formatDuration(facts.caughtUpInMs)} after it. Messages sent more than once: ${formatCount(repeats)}.`,
    ...comparison.samples.map((sample) => `  ✗ ${sample}`),
    comparison.differences === 0 ? '✓ Nothing differs.' : `✗ ${formatCount(comparison.differences)} differences.`,
  ];
}

function renderTable({ database, table, rows, mongo, kafka }: TableComparison): string {
  const differences =
    mongo.missing + mongo.extra + mongo.different + kafka.missing + kafka.extra + kafka.different + kafka.outOfOrder;
  const figures = [rows, mongo.documents, kafka.keys, kafka.messages, differences];
  return `${`${database}.${table}`.padEnd(36)}${figures.map((figure) => formatCount(figure).padStart(13)).join('')}`;
}

function renderLatencies({ latencyMs }: DssStatus): string {
  const parts = (['kafka', 'mongo'] as const).flatMap((sink) => {
    const latency = latencyMs[sink];
    if (latency === undefined || latency.count === 0) return [];
    const name = sink === 'kafka' ? 'Kafka' : 'MongoDB';
    return [
      `to ${name} p50 ${formatDuration(latency.p50)}, p99 ${formatDuration(latency.p99)} (measured ${formatCount(latency.count)} times)`,
    ];
  });
  return `From commit, over the last 10 to 20 s of writing: ${parts.join('; ')}.`;
}
