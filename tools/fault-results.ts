import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { rateMutants } from './mutation-scores.ts';

export type Outcome = 'Killed' | 'Timeout' | 'Survived' | 'RuntimeError';

export interface Tried {
  readonly outcome: Outcome;
  /** The spec that noticed it; null where none did, or it is not known which. */
  readonly by: string | null;
}

interface JestReport {
  readonly numFailedTests: number;
  readonly numPassedTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly { readonly name: string; readonly status: string }[];
}

export interface ListResult {
  /** Of the list, or of the part of it that was tried. */
  readonly outcomes: readonly Outcome[];
  readonly isWhole: boolean;
  /** Percent; null where none was measured. */
  readonly floor: number | null;
}

/** What jest has written about one fault. Without a report it has ended before its first spec: nothing was noticed. */
export function readReport(root: string, path: string): Tried {
  if (!existsSync(path)) return { outcome: 'RuntimeError', by: null };
  try {
    return rateReport(root, JSON.parse(readFileSync(path, 'utf8')) as JestReport);
  } catch (error) {
    // jest was ended while it wrote
    if (error instanceof SyntaxError) return { outcome: 'RuntimeError', by: null };
    throw error;
  }
}

/** Specs that can't even be loaded have noticed nothing: the fault is no program. */
function rateReport(root: string, report: JestReport): Tried {
  const { numFailedTests, numPassedTests, numRuntimeErrorTestSuites, testResults } = report;
  const name = testResults.find(({ status }) => status === 'failed')?.name ?? null;
  if (numFailedTests > 0) return { outcome: 'Killed', by: name && relative(root, name) };
  return { outcome: numRuntimeErrorTestSuites > 0 || numPassedTests === 0 ? 'RuntimeError' : 'Survived', by: null };
}

/** Whether a list fails the run, and the line about it. */
export function rateList(
  list: string,
  { outcomes, isWhole, floor }: ListResult,
): { readonly isBelow: boolean; readonly line: string } {
  const broken = outcomes.filter((outcome) => outcome === 'RuntimeError').length;
  const noticed = outcomes.filter((outcome) => outcome === 'Killed' || outcome === 'Timeout').length;
  const score = rateMutants(outcomes.map((status) => ({ status }))) ?? 0;
  const bound = floor === null ? 'not measured, so not held' : `${floor} %`;
  return {
    isBelow: broken > 0 || (isWhole && floor !== null && score < floor),
    line: `${list}: ${noticed} of ${outcomes.length} noticed, ${score} % (docs/mutants.md: ${bound})${broken > 0 ? `, ${broken} do not run` : ''}`,
  };
}
