import { DittoError } from '#kernel';
import { readLastLines } from './service-process.ts';

const LOG_LINES = 20;

/** What failed and what to look at, as lines: message, causes, code, remedy, and the end of the log that says more. */
export function describeFailure(error: unknown, folder: string): string[] {
  const lines = [`The demo failed: ${error instanceof Error ? error.message : String(error)}`];
  for (let cause = error instanceof Error ? error.cause : undefined; cause instanceof Error; cause = cause.cause)
    lines.push(`  because: ${cause.message}`);
  if (!(error instanceof DittoError)) return [...lines, `Logs are in ${folder}.`];
  lines.push(`Code: ${error.code}`);
  if (error.remedy !== null) lines.push(`Remedy: ${error.remedy}`);
  const { log, lines: output } = error.context;
  if (Array.isArray(output)) lines.push(...output.map((line) => `  ${String(line)}`));
  if (typeof log !== 'string') return [...lines, `Logs are in ${folder}.`];
  return [...lines, `The last lines of ${log}:`, ...readLastLines(log, LOG_LINES).map((line) => `  ${line}`)];
}
