import { Injectable } from '@nestjs/common';
import { chooseEndpoint, type DittoConfig, type SourceConfig } from '#configuration';
import { compileTableRules, reportProblems } from '#mysql';
import { createLogger, InjectConfig } from '#platform';
import { type Grant } from '#replication';
import { SourceStores } from '../connections/source-stores.ts';
import { type OwnershipHooks, type SourceRun } from '../sources/source-run.ts';
import { assembleRun } from './assemble-run.ts';
import { Closers } from './closers.ts';
import { adoptColumns } from './column-adoption.ts';
import { findStart } from './find-start.ts';
import { inspectSource } from './inspect-source.ts';
import { createTableNames, openSinks } from './open-sinks.ts';
import { type Opening } from './opening.ts';
import { newestCheckpoint } from './starting-point.ts';

/** Builds what one ownership of a source needs, bottom up; what was built is closed again when a later part fails. */
@Injectable()
export class SourceOpener {
  readonly #config: DittoConfig;
  readonly #stores: SourceStores;

  constructor(@InjectConfig() config: DittoConfig, stores: SourceStores) {
    this.#config = config;
    this.#stores = stores;
  }

  async open(source: SourceConfig, grant: Grant, hooks: OwnershipHooks, signal: AbortSignal): Promise<SourceRun> {
    const logger = createLogger(`source:${source.name}`);
    const closers = new Closers(logger);
    try {
      const opening = await this.#prepare({ source, grant, hooks, signal, logger, closers });
      return await assembleRun(opening, await findStart(opening));
    } catch (cause) {
      await closers.close();
      throw cause;
    }
  }

  /** Asks the server, refuses what loses data or can't be carried, and connects what the start asks. */
  async #prepare(
    ownership: Pick<Opening, 'source' | 'grant' | 'hooks' | 'signal' | 'logger' | 'closers'>,
  ): Promise<Opening> {
    const { source, grant, signal, logger } = ownership;
    const [config, stores] = [this.#config, this.#stores];
    const endpoints = chooseEndpoint(source);
    const rules = compileTableRules(source);
    const inspection = await inspectSource({ source, connection: endpoints.streamed, rules, signal });
    reportProblems(inspection.problems, logger);
    const tables = inspection.tables.flatMap(({ layout }) => layout ?? []);
    const names = createTableNames(source);
    for (const ofSink of names) ofSink.claimAll(tables);
    await adoptColumns({
      grant,
      store: stores.columns,
      excludeColumns: source.excludeColumns,
      tables,
      isKnown: async () => (await newestCheckpoint({ grant, dcs: stores.dcs, state: stores.state })) !== null,
      logger,
    });
    const sinks = await openSinks({ ...ownership, config, stores });
    return { ...ownership, config, stores, endpoints, rules, inspection, tables, names, sinks };
  }
}
