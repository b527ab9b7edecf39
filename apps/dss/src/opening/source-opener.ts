import { Injectable } from '@nestjs/common';
import {
  chooseEndpoint,
  type DittoConfig,
  formatEndpoint,
  type SourceConfig,
  type SourceEndpointConfig,
} from '#configuration';
import { DcsClient } from '#dcs-client';
import { toDittoError } from '#kernel';
import { compileTableRules, reportProblems } from '#mysql';
import { createLogger, InjectConfig } from '#platform';
import { type Grant, type PendingSwitch } from '#replication';
import { StateDatabase } from '#state';
import { SourceStores } from '../connections/source-stores.ts';
import { type OwnershipHooks, type SourceRun } from '../sources/source-run.ts';
import {
  chooseServer,
  type ChosenServer,
  type ChooseServersOptions,
  type OpeningRefusal,
} from '../switching/choose-server.ts';
import { Outages } from '../switching/outages.ts';
import { surveyServers } from '../switching/survey-servers.ts';
import { assembleRun } from './assemble-run.ts';
import { Closers } from './closers.ts';
import { adoptColumns } from './column-adoption.ts';
import { findStart } from './find-start.ts';
import { inspectSource } from './inspect-source.ts';
import { isOfServer } from './is-of-server.ts';
import { createTableNames, openSinks } from './open-sinks.ts';
import { type Opening } from './opening.ts';
import { newestCheckpoint } from './starting-point.ts';
import { type AskedSwitchOptions, BARRED_MS, switchAsAsked } from './switch-as-asked.ts';

const STATE_WITHIN_MS = 5000;
/** How long a server may take to answer when a source is opened; less where its own was just found to be lost. */
const ANSWER_WITHIN_MS = 5000;
const LEFT_ANSWER_WITHIN_MS = 2000;

/** How long a server is not tried again that lacks transactions: it may be about to apply them. */
const BEHIND_MS = 2_000;
/** What DWS found of a server so long ago still counts when a loss is judged again; it asks every few seconds. */
const SEEN_MS = 10_000;

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
  readonly #outages = new Outages(Date.now);

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
    const logger = createLogger(`source:${source.name}`);
    const ownership = { source, grant, hooks, signal };
    // after the start of the process it is being connected
    await this.#state.whenOpened(AbortSignal.any([signal, AbortSignal.timeout(STATE_WITHIN_MS)]));
    const [only, second] = source.endpoints;
    if (only !== undefined && second === undefined) return this.#openOnly(only, ownership);
    const limitMs = leftUuid === null ? ANSWER_WITHIN_MS : LEFT_ANSWER_WITHIN_MS;
    const survey: ChooseServersOptions['survey'] = (stop) => surveyServers(source, limitMs, stop);
    const describe = async (): Promise<ChooseServersOptions> => ({
      ...{ source, survey, signal, nowMs: Date.now },
      checkpoint: await this.#newestCheckpoint(grant),
    });
    const refused: OpeningRefusal[] = [];
    const heartbeats = (): ReturnType<DcsClient['listServers']> => this.#dcs.listServers(source.name);
    // who has just left its server has asked for these
    const seenSinceMs = leftUuid === null ? Date.now() - SEEN_MS : null;
    const switched = await this.#switchAsAsked(ownership, { describe, refused, seen: { heartbeats, seenSinceMs } });
    if (switched !== null) return switched;
    // one that is part of a loss needs the proof of that
    const startsOver = ((await this.#stores.resyncs.pendingFor(source.name))?.askedBy ?? null) !== null;
    const { onNoServer } = hooks;
    for (;;) {
      // also after an attempt that has come as far as a new checkpoint
      const server = await chooseServer({
        ...(await describe()),
        ...{ leftUuid, startsOver, refused, heartbeats, onNoServer },
      });
      if (server.loss !== null) {
        const { endpoint, gtids } = server.loss;
        await this.#stores.switches.request(grant, { to: endpoint, askedBy: null, givesUp: gtids });
        const seen = { heartbeats, seenSinceMs: null };
        const healed = await this.#switchAsAsked(ownership, { describe, refused, seen });
        if (healed !== null) return healed;
        continue;
      }
      try {
        return await this.#openOn(server, ownership, null);
      } catch (cause) {
        const error = toDittoError(cause);
        if (signal.aborted || server.isCurrent || error.retriable || !isOfServer(error)) throw cause;
        const { endpoint } = server;
        const { code, message, remedy } = error;
        logger.warn('the source can not continue with a server', { endpoint, code, error: message, remedy });
        const barredMs = code === 'DITTO_SOURCE_GTIDS_MISSING' ? BEHIND_MS : BARRED_MS;
        refused.push({ endpoint, error, mayPass: false, untilMs: Date.now() + barredMs });
      }
    }
  }

  /** Whichever server answers at the only endpoint. */
  async #openOnly(endpoint: SourceEndpointConfig, ownership: Ownership): Promise<SourceRun> {
    const { source, grant, hooks, signal } = ownership;
    const { switches } = this.#stores;
    const address = formatEndpoint(endpoint);
    const pending = await switches.pendingFor(source.name);
    try {
      const run = await this.#openOn(
        { index: 0, endpoint: address },
        ownership,
        pending?.to === address ? pending : null,
      );
      this.#outages.end(source.name);
      // one to another endpoint was asked for while there was one
      return await this.#closeUnless(run, async () => {
        if (pending !== null) await switches.finish(grant, pending);
      });
    } catch (cause) {
      const error = toDittoError(cause);
      const isAway = !signal.aborted && error.retriable && isOfServer(error);
      if (isAway && this.#outages.lasts(source.name, source.switch.afterMs))
        hooks.onNoServer(error, [{ endpoint: address, error, mayPass: true }]);
      if (signal.aborted || error.retriable || !pending?.givesUp || error.code === 'DITTO_LEASE_FENCED') throw cause;
      await switches.finish(grant, pending);
      const { to, askedBy } = pending;
      hooks.onSwitch({ from: '', to, askedBy, error, healing: null });
      throw cause;
    }
  }

  /** The switch that was asked for; null when there is none, or as `switchAsAsked`. */
  async #switchAsAsked(
    ownership: Ownership,
    options: Pick<AskedSwitchOptions<SourceRun>, 'describe' | 'refused' | 'seen'>,
  ): Promise<SourceRun | null> {
    const { source, grant, hooks } = ownership;
    const { switches } = this.#stores;
    const pending = await switches.pendingFor(source.name);
    if (pending === null) return null;
    const { to, askedBy } = pending;
    const finish = (): Promise<void> => switches.finish(grant, pending);
    return switchAsAsked({
      ...options,
      ...{ pending, finish },
      openOn: async (server) => this.#closeUnless(await this.#openOn(server, ownership, pending), finish),
      onFailed: (from, error) => hooks.onSwitch({ from, to, askedBy, error, healing: null }),
    });
  }

  /** The run; what was opened is closed when the work fails. */
  async #closeUnless(run: SourceRun, work: () => Promise<void>): Promise<SourceRun> {
    try {
      await work();
      return run;
    } catch (cause) {
      await run.close();
      throw cause;
    }
  }

  async #openOn(server: ChosenServer, ownership: Ownership, asked: PendingSwitch | null): Promise<SourceRun> {
    const logger = createLogger(`source:${ownership.source.name}`);
    const closers = new Closers(logger);
    try {
      const opening = await this.#prepare({ ...ownership, server, asked, logger, closers });
      const before = await this.#newestCheckpoint(ownership.grant);
      const { start, healing, lostUuid } = await findStart(opening);
      const from = lostUuid ?? before?.position.serverUuid;
      // now: it has moved, and what is built on that may still fail
      if (from !== undefined && (from !== start.position.serverUuid || healing !== null)) {
        const askedBy = asked?.askedBy ?? null;
        ownership.hooks.onSwitch({ from, to: server.endpoint, askedBy, error: null, healing });
      }
      return await assembleRun(opening, start);
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
  async #prepare(ownership: Ownership & Pick<Opening, 'server' | 'asked' | 'logger' | 'closers'>): Promise<Opening> {
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
