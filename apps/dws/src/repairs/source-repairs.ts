import { Injectable } from '@nestjs/common';
import { type TableName } from '#change-events';
import { type DittoConfig } from '#configuration';
import { createLogger, InjectConfig } from '#platform';
import { StateAuditLog, StateDatabase, StateRequestedReadStore } from '#state';
import {
  type MismatchRecord,
  MismatchStore,
  POLICY_ACTOR,
  type RepairedSink,
  Repairer,
  type RepairerOptions,
  RepairPlanner,
  RepairPolicy,
  RepairStore,
  type RepairTurn,
} from '#verification';
import { RepairMetrics } from '../metrics/repair-metrics.ts';
import { type VerifiedSource } from '../verification/verified-source.ts';
import { VerifiedSources } from '../verification/verified-sources.ts';

export interface RepairOutcomes extends RepairTurn {
  readonly planned: number;
}

/** Between attempts at one row. */
const RETRY_MS = { initial: 5000, max: 600_000 };
const NOTHING: RepairOutcomes = { planned: 0, begun: 0, repaired: 0, failed: 0, givenUp: 0 };

/** Repairs of every source; what they know is in the state database. */
@Injectable()
export class SourceRepairs {
  readonly mismatches: MismatchStore;
  readonly repairs: RepairStore;
  readonly #audit: StateAuditLog;
  readonly #reads: StateRequestedReadStore;
  readonly #config: DittoConfig;
  readonly #sources: VerifiedSources;
  readonly #metrics: RepairMetrics;
  readonly #logger = createLogger('repairs');

  constructor(
    @InjectConfig() config: DittoConfig,
    database: StateDatabase,
    mismatches: MismatchStore,
    repairs: RepairStore,
    sources: VerifiedSources,
    metrics: RepairMetrics,
  ) {
    this.#config = config;
    this.#sources = sources;
    this.#metrics = metrics;
    this.mismatches = mismatches;
    this.repairs = repairs;
    this.#reads = new StateRequestedReadStore(database);
    this.#audit = new StateAuditLog(database);
    metrics.observe(() => repairs.listBreakers());
  }

  /** On a person's word, whatever the policy says; its actor goes to the audit log first. */
  async repairOne(mismatch: MismatchRecord, actor: string): Promise<boolean> {
    const { id, source } = mismatch;
    await this.#audit.record({ actor, action: 'mismatch.repair', subject: source, details: { mismatch: id } });
    return this.#planner(source).planOne(mismatch, actor);
  }

  /** Lets repairs of a table begin again; false when they were not stopped. */
  async resume(source: string, table: TableName, actor: string): Promise<boolean> {
    await this.#audit.record({ actor, action: 'repairs.resume', subject: source, details: { ...table } });
    return this.repairs.closeBreaker(source, table, actor, Date.now());
  }

  /**
   * Takes up what the policy allows, and brings every repair of the source as far as it can get now; one turn of a source at
   * a time in this process.
   */
  async turn(source: string, signal: AbortSignal): Promise<RepairOutcomes> {
    const planned = await this.#planner(source).plan(signal);
    this.#metrics.planned(source, planned);
    const states = ['planned', 'failed', 'reading', 'verifying'] as const;
    const [due] = await this.repairs.listDue(source, states, Date.now(), 1);
    // without work no server of the source is connected to
    if (due === undefined) return { ...NOTHING, planned };
    const verified = await this.#sources.open(source);
    const turn = await new Repairer({
      ...this.#shared(source),
      reads: this.#reads,
      stream: verified.stream,
      findSink: this.#opener(source, verified),
      onEnd: (repair, state) => this.#metrics.ended(source, repair.sink, state),
      retryMs: RETRY_MS,
    }).turn(signal);
    return { ...turn, planned };
  }

  /** Of one turn: what does not open is not tried again in it. */
  #opener(source: string, verified: VerifiedSource): RepairerOptions['findSink'] {
    const names: readonly string[] = this.#sources.listSinks(source);
    const open = async (name: string): Promise<RepairedSink | null> =>
      names.includes(name)
        ? {
            sink: await verified.sink(name),
            verifier: await verified.verifier(name),
            secondVerifier: await verified.verifier(name, 'second'),
          }
        : null;
    const opened = new Map<string, Promise<RepairedSink | null>>();
    return (name) => {
      const found = opened.get(name) ?? open(name);
      opened.set(name, found);
      return found;
    };
  }

  #planner(source: string): RepairPlanner {
    return new RepairPlanner(this.#shared(source));
  }

  #shared(source: string): ConstructorParameters<typeof RepairPlanner>[0] {
    const config = this.#config.sources[source];
    if (config === undefined) throw new Error(`the source ${source} is not configured`);
    return {
      source,
      policy: new RepairPolicy(config.repair),
      mismatches: this.mismatches,
      repairs: this.repairs,
      audit: (entry) => this.#audit.record({ ...entry, actor: POLICY_ACTOR }),
      logger: this.#logger,
      nowMs: Date.now,
    };
  }
}
