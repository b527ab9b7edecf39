import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { tableKey } from '#change-events';
import { type DittoConfig } from '#configuration';
import { createLogger, InjectConfig } from '#platform';
import { FailedEventStore, type ListedFailedEvent, MOST_KEY_BYTES, MOST_KEYS } from '#replication';
import { StateDatabase, StateRequestedReadStore } from '#state';

export interface RetryTurn {
  /** Rows whose reads were asked for. */
  readonly retried: number;
}

const ACTOR = 'dws';
/** Of one turn. */
const MOST_AT_ONCE = 1000;
const MOST_ALONE = 50;

/**
 * Has the rows of failed events read again. What DSS reads is the row as it is now, in the lane of its key; the sink takes it
 * or refuses it once more. So a retry never delivers what was refused, and nothing that is older than what a sink has.
 */
@Injectable()
export class FailedEventRetries {
  readonly #config: DittoConfig;
  readonly #events: FailedEventStore;
  readonly #reads: StateRequestedReadStore;
  readonly #logger = createLogger('failed-events');

  constructor(@InjectConfig() config: DittoConfig, events: FailedEventStore, database: StateDatabase) {
    this.#config = config;
    this.#events = events;
    this.#reads = new StateRequestedReadStore(database);
  }

  /** Those of a source whose time has come. */
  async turn(source: string, signal: AbortSignal): Promise<RetryTurn> {
    const due = await this.#events.listDue(source, Date.now(), MOST_AT_ONCE);
    signal.throwIfAborted();
    const states = new Map<string, string | undefined>();
    for (const { readId } of due)
      if (readId !== null && !states.has(readId)) states.set(readId, (await this.#reads.find(readId))?.state);
    const stateOf = ({ readId }: ListedFailedEvent): string | undefined => states.get(readId ?? '');
    // a row that can't be read, because it is too large or can't be decoded, keeps others from being read with it
    const alone = due.filter((event) => stateOf(event) === 'failed').slice(0, MOST_ALONE);
    const together = due.filter((event) => stateOf(event) !== 'failed');
    await this.retry(together, ACTOR);
    for (const event of alone) await this.retry([event], ACTOR);
    return { retried: together.length + alone.length };
  }

  /** Resolves with the reads that were asked for: one for each table, or more. */
  async retry(events: readonly ListedFailedEvent[], actor: string): Promise<readonly string[]> {
    const reads: string[] = [];
    for (const part of split(events)) {
      const [{ source, database, table }] = part as [ListedFailedEvent];
      const id = randomUUID();
      const keys = [...new Set(part.map(({ key }) => key))];
      const { retryInitialMs: initialMs, retryMaxMs: maxMs } = this.#config.failedEvents;
      // before it is asked for: a crash in between costs one attempt, not two reads
      const ids = part.map((event) => event.id);
      await this.#events.retried(ids, id, Date.now(), { initialMs, maxMs });
      await this.#reads.accept({
        ...{ id, source, database, table, scope: { kind: 'keys', keys }, actor },
        reason: `retry of ${part.length} failed events`,
        acceptedAtMs: Date.now(),
      });
      this.#logger.debug('rows of failed events are read again', { source, database, table, rows: keys.length, id });
      reads.push(id);
    }
    return reads;
  }
}

/** By source and table, and no more than one read may ask for. */
function split(events: readonly ListedFailedEvent[]): readonly (readonly ListedFailedEvent[])[] {
  const parts: ListedFailedEvent[][] = [];
  const open = new Map<string, { readonly part: ListedFailedEvent[]; bytes: number }>();
  for (const event of events) {
    const name = `${event.source}\0${tableKey(event)}`;
    const bytes = Buffer.byteLength(event.key);
    let current = open.get(name);
    if (current === undefined || current.part.length >= MOST_KEYS || current.bytes + bytes > MOST_KEY_BYTES) {
      open.set(name, (current = { part: [], bytes: 0 }));
      parts.push(current.part);
    }
    current.part.push(event);
    current.bytes += bytes;
  }
  return parts;
}
