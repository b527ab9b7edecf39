export interface AuditEntry {
  /** Who did it: the name of a token, or the service that decided by itself. */
  readonly actor: string;
  /** What was done, as `source.pause`. */
  readonly action: string;
  /** What it was done to. */
  readonly subject: string;
  readonly details?: Readonly<Record<string, unknown>>;
  /** When it was done; now by default. */
  readonly atMs?: number;
}

/**
 * Where operator actions and automatic decisions are recorded. An action whose entry can not be recorded is not
 * carried out: record first, then act.
 */
export abstract class AuditLog {
  abstract record(entry: AuditEntry): Promise<void>;
}
