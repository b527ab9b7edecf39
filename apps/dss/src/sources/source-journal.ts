import { formatTableName } from '#change-events';
import { Backoff, type DittoError, type Logger, retry, toDittoError } from '#kernel';
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
  /** Of the end of the process. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

const RECORD_BACKOFF = { initialMs: 500, maxMs: 15_000 };
/** Entries that wait for the state database, in the memory of this process. */
const MOST_RECORDING = 100;

/**
 * What happens to a source, for the audit log and the webhooks. Both learn of it afterwards: a source waits for neither.
 */
export class SourceJournal {
  readonly #options: SourceJournalOptions;
  #recording = 0;

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

  /** Told of once an hour: a source that is opened again and again finds it each time. */
  purgeIsNear(forecast: PurgeForecast): void {
    const { source, notifier } = this.#options;
    const uniqueKey = JSON.stringify([source, findHour()]);
    notifier.notify({ event: 'source.purge-near', source, details: { ...forecast }, uniqueKey });
  }

  /** Told of once an hour for a table and sink; `GET /failed-events` of DWS has each row. */
  quarantined(sink: string, { table, key }: RefusedChange, error: DittoError): void {
    const { source, notifier } = this.#options;
    const name = formatTableName(table);
    notifier.notify({
      event: 'rows.quarantined',
      source,
      details: { sink, table: name, key, error: describe(error) },
      uniqueKey: JSON.stringify([source, sink, name, findHour()]),
    });
  }

  #record(action: string, askedBy: string | null, details: AuditEntry['details'] = {}): void {
    const entry = { actor: askedBy ?? 'dss', action, subject: this.#options.source, details, atMs: Date.now() };
    void this.#keep(entry).catch((cause: unknown) => {
      const { code, message } = toDittoError(cause);
      this.#options.logger.error('what was done is not in the audit log', { ...entry, code, error: message });
    });
  }

  /** Tried on while the state database is away, for a limited number of entries. */
  async #keep(entry: AuditEntry): Promise<void> {
    const { audit, signal } = this.#options;
    const mayWait = this.#recording < MOST_RECORDING;
    this.#recording++;
    try {
      await audit.record(entry).catch((cause: unknown) => {
        if (!mayWait || signal.aborted) throw cause;
        return retry(() => audit.record(entry), { backoff: new Backoff(RECORD_BACKOFF), signal });
      });
    } finally {
      this.#recording--;
    }
  }
}

function findHour(): number {
  return Math.floor(Date.now() / 3_600_000);
}

function describe({ code, message, remedy }: DittoError): Pick<DittoError, 'code' | 'message' | 'remedy'> {
  return { code, message, remedy };
}
