import { type Logger, toDittoError } from '#kernel';
import { type AuditEntry, type AuditLog } from '#platform';
import { type SwitchOutcome } from './source-run.ts';
import { type SourceMove } from './source-supervisor.ts';

/** The audit log learns of a switch when it is done: a source does not wait for the state database to move. */
export async function recordSwitch(
  audit: AuditLog,
  source: string,
  { from, to, askedBy, error, healing }: SwitchOutcome,
  logger: Logger,
): Promise<void> {
  const action = error === null ? 'source.switched' : 'source.switch-failed';
  const details = { from, to, ...(healing && { healing }), ...(error && { code: error.code, error: error.message }) };
  await record(audit, { actor: askedBy ?? 'dss', action, subject: source, details }, logger);
}

/** The same for a source that an instance has handed to another one. */
export async function recordMove(
  audit: AuditLog,
  source: string,
  { from, to, askedBy }: SourceMove & { readonly from: string },
  logger: Logger,
): Promise<void> {
  const entry = { actor: askedBy ?? 'dss', action: 'source.moved', subject: source, details: { from, to } };
  await record(audit, entry, logger);
}

async function record(audit: AuditLog, entry: AuditEntry, logger: Logger): Promise<void> {
  try {
    await audit.record(entry);
  } catch (cause) {
    const { code, message } = toDittoError(cause);
    logger.warn('what was done could not be written to the audit log', { ...entry, code, error: message });
  }
}
