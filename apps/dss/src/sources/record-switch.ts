import { type Logger, toDittoError } from '#kernel';
import { type AuditLog } from '#platform';
import { type SwitchOutcome } from './source-run.ts';

/** The audit log learns of a switch when it is done: a source does not wait for the state database to move. */
export async function recordSwitch(
  audit: AuditLog,
  source: string,
  { from, to, askedBy, error, healing }: SwitchOutcome,
  logger: Logger,
): Promise<void> {
  const action = error === null ? 'source.switched' : 'source.switch-failed';
  const details = { from, to, ...(healing && { healing }), ...(error && { code: error.code, error: error.message }) };
  try {
    await audit.record({ actor: askedBy ?? 'dss', action, subject: source, details });
  } catch (cause) {
    const { code, message } = toDittoError(cause);
    logger.warn('a switch could not be written to the audit log', { source, ...details, code, error: message });
  }
}
