import { formatTableName } from '#change-events';
import { type DittoError, type Logger, toDittoError } from '#kernel';
import { type AuditEntry, type AuditLog, type Notifier } from '#platform';
import { type RefusedChange } from '#replication';
import { type PurgeForecast } from '../purging/purge-forecast.ts';
import { type SwitchOutcome } from './source-run.ts';
import { type SourceMove } from './source-supervisor.ts';

export interface SourceJournalOptions {
  readonly source: string;
  /** This one, of DSS. */
  readonly instance: string;
  readonly audit: AuditLog;
  readonly notifier: Pick<Notifier, 'notify'>;
  readonly logger: Logger;
}

/**
 * What happens to a source, for the audit log and the webhooks. Both learn of it afterwards: a source waits for neither.
 */
export class SourceJournal {
  readonly #options: SourceJournalOptions;

  constructor(options: SourceJournalOptions) {
    this.#options = options;
  }

  switched({ from, to, askedBy, error, healing }: SwitchOutcome): void {
    const details = { from, to, ...(healing && { healing }), ...(error && { error: describe(error) }) };
    const event = error === null ? 'source.switched' : 'source.switch-failed';
    this.#record(event, askedBy, details);
    this.#options.notifier.notify({ event, source: this.#options.source, details: { ...details, askedBy } });
  }

  moved({ to, askedBy }: SourceMove): void {
    this.#record('source.moved', askedBy, { from: this.#options.instance, to });
  }

  stopped(error: DittoError): void {
    const { source, instance, notifier } = this.#options;
    const details = { error: describe(error) };
    this.#record('source.stopped', null, details);
    notifier.notify({ event: 'source.stopped', source, details: { ...details, instance } });
  }

  /** Called once for as long as the reason is the same. */
  findsNoServer(error: DittoError): void {
    const { source, instance, notifier } = this.#options;
    notifier.notify({ event: 'source.no-server', source, details: { error: describe(error), instance } });
  }

  /** Called once, until the time left is long enough again. */
  purgeIsNear(forecast: PurgeForecast): void {
    const { source, notifier } = this.#options;
    notifier.notify({ event: 'source.purge-near', source, details: { ...forecast } });
  }

  /** Told of once an hour for a table and sink; `GET /failed-events` of DWS has each row. */
  quarantined(sink: string, { table, key }: RefusedChange, error: DittoError): void {
    const { source, notifier } = this.#options;
    const name = formatTableName(table);
    const hour = Math.floor(Date.now() / 3_600_000);
    notifier.notify({
      event: 'rows.quarantined',
      source,
      details: { sink, table: name, key, error: describe(error) },
      uniqueKey: JSON.stringify([source, sink, name, hour]),
    });
  }

  #record(action: string, askedBy: string | null, details: AuditEntry['details'] = {}): void {
    const { source, audit, logger } = this.#options;
    const entry = { actor: askedBy ?? 'dss', action, subject: source, details };
    audit.record(entry).catch((cause: unknown) => {
      const { code, message } = toDittoError(cause);
      logger.warn('what was done could not be written to the audit log', { ...entry, code, error: message });
    });
  }
}

function describe({ code, message, remedy }: DittoError): Pick<DittoError, 'code' | 'message' | 'remedy'> {
  return { code, message, remedy };
}
