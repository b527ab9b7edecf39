import { GtidSet } from '#change-events';
import { type DittoError } from '#kernel';
import { type RefusedServer } from './judge-servers.ts';

/** Transactions that were given to a sink, and that the cluster continues without. */
export interface Loss {
  /** `host:port` of the server that carries the cluster on. */
  readonly endpoint: string;
  /** What it lacks, as a GTID set. */
  readonly gtids: string;
}

/** What the error says is missing, as a GTID set. */
export function missingOf({ context }: DittoError): string {
  const { missing } = context;
  return typeof missing === 'string' ? missing : '';
}

/**
 * What is lost as far as the servers tell: one of them accepts writes, lacks nothing but these transactions, and replicates
 * from nobody who could still have them. Null while there is no such server, and where another one has some of what it
 * lacks: which of them the cluster goes on with, a person has to say.
 */
export function findLoss(refused: readonly RefusedServer[]): Loss | null {
  const lacking = refused
    .filter(({ error }) => error.code === 'DITTO_SOURCE_GTIDS_MISSING')
    .map((server) => ({ ...server, missing: GtidSet.parse(missingOf(server.error)) }));
  const least = lacking.find(
    ({ mayPass, missing }) => !mayPass && lacking.every((other) => other.missing.contains(missing)),
  );
  return least === undefined ? null : { endpoint: least.endpoint, gtids: missingOf(least.error) };
}

/**
 * Says of a loss when it has stood for the time, the same all the while: a server may come back, or be promoted, that has
 * what is missing, and one that was just promoted may still apply it.
 */
export class LossWatch {
  readonly #standsMs: number;
  readonly #nowMs: () => number;
  #seen: (Loss & { readonly sinceMs: number }) | null = null;

  constructor(standsMs: number, nowMs: () => number) {
    this.#standsMs = standsMs;
    this.#nowMs = nowMs;
  }

  /** What each look finds; null when a server can be used, or none is known to go on without. Gives the loss once it has stood. */
  note(loss: Loss | null): Loss | null {
    if (loss === null) {
      this.#seen = null;
      return null;
    }
    if (this.#seen?.endpoint !== loss.endpoint || this.#seen.gtids !== loss.gtids)
      this.#seen = { ...loss, sinceMs: this.#nowMs() };
    return this.#nowMs() - this.#seen.sinceMs >= this.#standsMs ? loss : null;
  }
}
