import { type CheckFinding, DittoError, type Logger } from '#kernel';

/** Warnings go to the log; errors, all of them, into one error. */
export function reportProblems(problems: readonly CheckFinding[], logger: Logger): void {
  for (const { severity, code, message, remedy } of problems)
    if (severity === 'warning') logger.warn(message, { code, remedy });
  assertNoErrors(problems);
}

/** Throws one error for all problems that are errors; warnings pass. */
export function assertNoErrors(problems: readonly CheckFinding[]): void {
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
