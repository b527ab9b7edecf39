import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { distinctTables, type TableName } from '#change-events';
import { type DittoConfig } from '#configuration';
import { compileTableRules } from '#mysql';
import { createLogger, InjectConfig, RequestError } from '#platform';
import { type TableRecord } from '#replication';
import { StateDatabase, StateTableStore } from '#state';
import { type DueChunk, type RunRecord, type RunScope, type RunTrigger, VerificationRunStore } from '#verification';
import { VerifiedSources } from './verified-sources.ts';

export interface RunOrder {
  /** Random when left out. Two orders with one id are one run. */
  readonly id?: string;
  readonly source: string;
  readonly scope: RunScope;
  /** All that can be verified when left out. */
  readonly sinks?: readonly string[];
  readonly trigger: RunTrigger;
  readonly actor: string;
  readonly rowsPerSecond: number | null;
  /** As configured when left out. */
  readonly secondWayShare?: number;
}

const ANSWER_MS = 5_000;

/** Begins runs: finds their tables among those that DSS has recorded. */
@Injectable()
export class VerificationRuns {
  readonly #config: DittoConfig;
  readonly #runs: VerificationRunStore;
  readonly #sources: VerifiedSources;
  readonly #tables: StateTableStore;
  readonly #logger = createLogger('verification');

  constructor(
    @InjectConfig() config: DittoConfig,
    runs: VerificationRunStore,
    sources: VerifiedSources,
    state: StateDatabase,
  ) {
    this.#config = config;
    this.#runs = runs;
    this.#sources = sources;
    this.#tables = new StateTableStore(state);
  }

  async begin(order: RunOrder): Promise<{ readonly run: RunRecord; readonly due: readonly DueChunk[] }> {
    const { source, scope, trigger, actor, rowsPerSecond } = order;
    const { secondWayShare = this.#config.verification.secondWayShare } = order;
    const sinks = this.#chooseSinks(source, order.sinks);
    const tables = await this.#chooseTables(source, scope);
    const run = {
      id: order.id ?? randomUUID(),
      source,
      scope,
      sinks,
      trigger,
      actor,
      rowsPerSecond,
      secondWayShare,
      createdAtMs: Date.now(),
    };
    const due = await this.#runs.create(run, tables);
    this.#logger.info('a verification has begun', {
      run: run.id,
      source,
      sinks,
      tables: tables.length,
      trigger,
      actor,
    });
    const created = await this.#runs.find(run.id);
    return { run: created ?? { ...run, state: 'running', error: null, endedAtMs: null }, due };
  }

  /** Nothing can be compared of a table that was dropped; its record stays. A server that does not answer says of none. */
  async #exceptGone(source: string, records: readonly TableRecord[]): Promise<readonly TableRecord[]> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const isGone = async (record: TableRecord): Promise<boolean> => {
      if (record.adopted !== null) return false;
      try {
        return await (await this.#sources.open(source)).isGone(record, signal);
      } catch {
        return false;
      }
    };
    const gone: boolean[] = [];
    for (const record of records) gone.push(await isGone(record));
    return records.filter((_, i) => gone[i] !== true);
  }

  #chooseSinks(source: string, asked: readonly string[] | undefined): readonly string[] {
    const known: readonly string[] = this.#sources.listSinks(source);
    const unknown = asked?.filter((sink) => !known.includes(sink)) ?? [];
    if (unknown.length > 0 || known.length === 0)
      throw new RequestError(
        422,
        'DITTO_VERIFICATION_NO_SINK',
        known.length === 0
          ? `${source} has no sink that can be verified`
          : `${source} has no sink ${unknown.join(', ')} that can be verified`,
        { remedy: `Ask for one of: ${known.join(', ') || 'none'}.` },
      );
    return [...new Set(asked ?? known)];
  }

  async #chooseTables(source: string, scope: RunScope): Promise<readonly TableName[]> {
    const config = this.#config.sources[source];
    if (config === undefined) return [];
    const { includes } = compileTableRules(config);
    const included = (await this.#tables.load(source)).filter(({ database, table }) => includes(database, table));
    const recorded = await this.#exceptGone(source, included);
    if (scope.kind === 'source') return recorded;
    const asked = scope.kind === 'tables' ? distinctTables(scope.tables) : [scope];
    const missing = asked.filter(
      (one) => !recorded.some((of) => of.database === one.database && of.table === one.table),
    );
    if (missing.length > 0)
      throw new RequestError(
        422,
        'DITTO_VERIFICATION_NO_TABLE',
        `DSS has not seen ${missing.map(({ database, table }) => `${database}.${table}`).join(', ')} in ${source}`,
        {
          remedy:
            'Check the name, and that the source includes the table; GET /sources/<name>/tables of DSS lists them.',
        },
      );
    return asked;
  }
}
