import { Injectable } from '@nestjs/common';
import { chooseEndpoint, type DittoConfig, formatEndpoint, type SourceConfig } from '#configuration';
import { DcsClient } from '#dcs-client';
import { toDittoError, type DittoError, type Logger } from '#kernel';
import { compileTableRules, reportProblems } from '#mysql';
import { createLogger, InjectConfig } from '#platform';
import { type Grant } from '#replication';
import { StateDatabase } from '#state';
import { SourceStores } from '../connections/source-stores.ts';
import { type OwnershipHooks, type SourceRun } from '../sources/source-run.ts';
import {
  awaitServer,
  chooseServers,
  type ChosenServer,
  type ChooseServersOptions,
} from '../switching/choose-servers.ts';
import { surveyServers } from '../switching/survey-servers.ts';
import { assembleRun } from './assemble-run.ts';
import { Closers } from './closers.ts';
import { adoptColumns } from './column-adoption.ts';
import { findStart } from './find-start.ts';
import { inspectSource } from './inspect-source.ts';
import { createTableNames, openSinks } from './open-sinks.ts';
import { type Opening } from './opening.ts';
import { newestCheckpoint } from './starting-point.ts';

const STATE_WITHIN_MS = 5000;

type Ownership = Pick<Opening, 'source' | 'grant' | 'hooks' | 'signal'>;

/**
 * Builds what one ownership of a source needs, bottom up, on the server that it continues with; what was built is closed
 * again when a later part fails.
 */
@Injectable()
export class SourceOpener {
  readonly #config: DittoConfig;
  readonly #stores: SourceStores;
  readonly #dcs: DcsClient;
  readonly #state: StateDatabase;

  constructor(@InjectConfig() config: DittoConfig, stores: SourceStores, dcs: DcsClient, state: StateDatabase) {
    this.#config = config;
    this.#stores = stores;
    this.#dcs = dcs;
    this.#state = state;
  }

  /** @param leftUuid of the server that this process has just left, because it was lost; else null */
  async open(
    source: SourceConfig,
    grant: Grant,
    hooks: OwnershipHooks,
    signal: AbortSignal,
    leftUuid: string | null,
  ): Promise<SourceRun> {
    const ownership = { source, grant, hooks, signal };
    const [only, second] = source.endpoints;
    if (only !== undefined && second === undefined)
      return this.#openOn({ index: 0, endpoint: formatEndpoint(only) }, ownership, null);
    const logger = createLogger(`source:${source.name}`);
    // after the start of the process it is being connected
    await this.#state.whenOpened(AbortSignal.any([signal, AbortSignal.timeout(STATE_WITHIN_MS)]));
    const checkpoint = await this.#newestCheckpoint(grant);
    const survey = (limit: AbortSignal): ReturnType<typeof surveyServers> => surveyServers(source, limit);
    const choice = { source, checkpoint, survey, signal, nowMs: Date.now };
    const switched = await this.#switchAsAsked(ownership, choice, logger);
    if (switched !== null) return switched;
    const startsOver = (await this.#stores.resyncs.pendingFor(source.name)) !== null;
    const servers = await chooseServers({ ...choice, leftUuid, startsOver, onNoServer: hooks.onNoServer });
    let refusal: DittoError | null = null;
    for (const server of servers)
      try {
        return await this.#openOn(server, ownership, null);
      } catch (cause) {
        const error = toDittoError(cause);
        if (signal.aborted || !isOfServer(error) || servers.length === 1) throw cause;
        logger.warn('the source can not continue with a server, trying the next one', {
          endpoint: server.endpoint,
          code: error.code,
          error: error.message,
        });
        refusal ??= error;
      }
    throw refusal ?? new Error('no server was chosen');
  }

  /** The switch that an operator asked for; null when there is none, or it can't be done: then all stays as it was. */
  async #switchAsAsked(ownership: Ownership, choice: ChooseServersOptions, logger: Logger): Promise<SourceRun | null> {
    const { source, grant, hooks, signal } = ownership;
    const { switches } = this.#stores;
    const pending = await switches.pendingFor(source.name);
    if (pending === null) return null;
    const { to, askedBy } = pending;
    try {
      const server = await awaitServer({ ...choice, to });
      const run = await this.#openOn(server, ownership, askedBy);
      await switches.finish(grant);
      return run;
    } catch (cause) {
      signal.throwIfAborted();
      const error = toDittoError(cause);
      await switches.finish(grant);
      hooks.onSwitch({ from: choice.checkpoint?.position.serverUuid ?? '', to, askedBy, error });
      const { code, message, remedy } = error;
      logger.error('the switch that was asked for can not be done', { to, askedBy, code, error: message, remedy });
      return null;
    }
  }

  async #openOn(server: ChosenServer, ownership: Ownership, askedBy: string | null): Promise<SourceRun> {
    const logger = createLogger(`source:${ownership.source.name}`);
    const closers = new Closers(logger);
    try {
      const opening = await this.#prepare({ ...ownership, server, logger, closers });
      const before = await this.#newestCheckpoint(ownership.grant);
      const run = await assembleRun(opening, await findStart(opening));
      const from = before?.position.serverUuid;
      if (from !== undefined && from !== run.server.serverUuid)
        ownership.hooks.onSwitch({ from, to: server.endpoint, askedBy, error: null });
      return run;
    } catch (cause) {
      await closers.close();
      throw cause;
    }
  }

  #newestCheckpoint(grant: Grant): ReturnType<typeof newestCheckpoint> {
    const { dcs, state } = this.#stores;
    return newestCheckpoint({ grant, dcs, state });
  }

  /** Asks the server, refuses what loses data or can't be carried, and connects what the start asks. */
  async #prepare(ownership: Ownership & Pick<Opening, 'server' | 'logger' | 'closers'>): Promise<Opening> {
    const { source, grant, server, signal, logger } = ownership;
    const [config, stores] = [this.#config, this.#stores];
    const endpoints = chooseEndpoint(source, server.index);
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
      isKnown: async () => (await this.#newestCheckpoint(grant)) !== null,
      logger,
    });
    const sinks = await openSinks({ ...ownership, config, stores });
    const heartbeats = (): ReturnType<DcsClient['listServers']> => this.#dcs.listServers(source.name);
    return { ...ownership, config, stores, heartbeats, endpoints, rules, inspection, tables, names, sinks };
  }
}

/** Whether another server may do better: what was stored, and the sinks, are the same whichever server it is. */
function isOfServer({ code }: DittoError): boolean {
  return code.startsWith('DITTO_SOURCE_') && code !== 'DITTO_SOURCE_CHECKPOINT_LOST';
}
