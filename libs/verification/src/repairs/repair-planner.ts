import { formatTableName, type TableName } from '#change-events';
import { type Logger } from '#kernel';
import { type MismatchRecord, type MismatchStore } from '../ports/mismatch-store.ts';
import { type RepairStore } from '../ports/repair-store.ts';
import { type RepairPolicy } from './repair-policy.ts';

export interface RepairPlannerOptions {
  readonly source: string;
  readonly policy: RepairPolicy;
  readonly mismatches: MismatchStore;
  readonly repairs: RepairStore;
  /** Where what is decided without a person is recorded, before it is done. */
  readonly audit: RepairAudit;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

export type RepairAudit = (entry: {
  readonly action: string;
  readonly subject: string;
  readonly details: Readonly<Record<string, unknown>>;
}) => Promise<void>;

/** The actor of what is decided by the policy. */
export const POLICY_ACTOR = 'dws';
const HOUR_MS = 3_600_000;
/** Of one table in one turn. */
const MOST_AT_ONCE = 1000;
const PAGE = 200;

/** Takes up open mismatches: as many as the policy allows, and none in a table in which too much differs. */
export class RepairPlanner {
  readonly #options: RepairPlannerOptions;

  constructor(options: RepairPlannerOptions) {
    this.#options = options;
  }

  /** Resolves with how many were taken up. */
  async plan(signal: AbortSignal): Promise<number> {
    const { source, policy, repairs } = this.#options;
    const open = (await repairs.listOpenTables(source)).filter((table) => policy.modeOf(table) !== 'report');
    if (open.length === 0) return 0;
    const broken = await repairs.listBreakers(source);
    let planned = 0;
    for (const table of open) {
      signal.throwIfAborted();
      const breaker = broken.find((found) => isSame(found, table));
      if (breaker !== undefined && breaker.openedAtMs !== null) continue;
      if (await this.#isTooMuch(table, breaker?.closedAtMs ?? 0)) continue;
      planned += await this.#planTable(table, signal);
    }
    return planned;
  }

  /** For a person: the policy has no say. False when the mismatch is not open any more. */
  async planOne(mismatch: MismatchRecord, actor: string): Promise<boolean> {
    const { repairs, mismatches, nowMs } = this.#options;
    await repairs.plan([mismatch], actor, nowMs());
    return mismatches.changeState(mismatch.id, ['open', 'ignored', 'given up', 'repairing'], {
      to: 'repairing',
      actor,
    });
  }

  async #planTable(table: TableName, signal: AbortSignal): Promise<number> {
    const { source, policy, repairs, mismatches, nowMs } = this.#options;
    const { database } = table;
    const begun = await repairs.countPlanned(source, table, POLICY_ACTOR, nowMs() - HOUR_MS);
    let left = Math.min(MOST_AT_ONCE, policy.perHour - begun);
    let planned = 0;
    let after: string | null = null;
    while (left > 0) {
      signal.throwIfAborted();
      const filter = { source, database, table: table.table, states: ['open'], exceptKind: 'gap' } as const;
      const page: readonly MismatchRecord[] = await mismatches.list(filter, { after, limit: Math.min(PAGE, left) });
      const last = page.at(-1);
      if (last === undefined) break;
      // first, so that a mismatch that is taken up has a repair, whatever ends this process
      await repairs.plan(page, POLICY_ACTOR, nowMs());
      for (const { id } of page) await mismatches.changeState(id, ['open'], { to: 'repairing', actor: POLICY_ACTOR });
      after = last.id;
      left -= page.length;
      planned += page.length;
    }
    return planned;
  }

  async #isTooMuch(table: TableName, closedAtMs: number): Promise<boolean> {
    const { source, policy, repairs, audit, logger, nowMs } = this.#options;
    const found = await repairs.countFound(source, table, Math.max(closedAtMs, nowMs() - HOUR_MS));
    if (found <= policy.breakerPerHour) return false;
    const name = formatTableName(table);
    const details = { table: name, found, limit: policy.breakerPerHour };
    await audit({ action: 'repairs.stop', subject: source, details });
    if (await repairs.openBreaker(source, table, found, nowMs()))
      logger.error('too many rows of a table differ: none of them is repaired until a person says so', {
        ...{ source, ...details },
        remedy: 'Find the reason, then POST /repairs/resume; single ones: POST /mismatches/:id/repair.',
      });
    return true;
  }
}

function isSame(a: TableName, b: TableName): boolean {
  return a.database === b.database && a.table === b.table;
}
