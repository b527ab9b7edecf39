import { DittoError } from '#kernel';

/** One thing that is wrong or risky about a server for Ditto's purpose. */
export interface Problem {
  readonly code: string;
  /** An error keeps the source from starting; a warning weakens a promise. */
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** What mends it, as SQL where SQL can. */
  readonly remedy: string;
}

/** Throws one error for all problems that are errors; warnings pass. */
export function assertNoErrors(problems: readonly Problem[]): void {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  if (first === undefined) return;
  throw new DittoError(
    first.code,
    errors.map(({ code, message }) => (errors.length > 1 ? `${code}: ${message}` : message)).join('; '),
    {
      remedy: errors.map(({ remedy }) => remedy).join('; '),
      context: { problems: errors },
    },
  );
}
