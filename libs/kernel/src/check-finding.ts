import { toDittoError } from './to-ditto-error.ts';

/** One thing that is wrong or risky about a server for Ditto's purpose, as a check of it reports. */
export interface CheckFinding {
  readonly code: string;
  /** An error keeps Ditto from working; a warning weakens a promise. */
  readonly severity: 'error' | 'warning';
  readonly message: string;
  /** What a person should do, as a sentence or a command. */
  readonly remedy: string;
}

export function findError(code: string, message: string, remedy: string): CheckFinding {
  return { code, severity: 'error', message, remedy };
}

export function findWarning(code: string, message: string, remedy: string): CheckFinding {
  return { code, severity: 'warning', message, remedy };
}

/** What made a check fail, as its finding. */
export function toCheckFinding(error: unknown, severity: CheckFinding['severity'] = 'error'): CheckFinding {
  const { code, message, remedy } = toDittoError(error);
  return { code, severity, message, remedy: remedy ?? 'docs/errors.md explains the code.' };
}
