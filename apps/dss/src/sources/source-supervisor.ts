import { type Checkpoint } from '#change-events';
import { Backoff, sleep, toDittoError, type DittoError, type Logger, Waits } from '#kernel';
import { LatencyWindow, type Grant, type NewRead, type PendingSwitch, type TableSnapshotStatus } from '#replication';
import { type LeaseKeeper } from './lease-keeper.ts';
import { RateMeter } from './rate-meter.ts';
import { type PurgeForecast } from '../purging/purge-forecast.ts';
import { type Loss } from '../switching/find-loss.ts';
import { type RefusedServer } from '../switching/judge-servers.ts';
import { type SourceJournal } from './source-journal.ts';
import { type OwnershipHooks, type SourceRun, type SwitchOutcome } from './source-run.ts';
import { type ErrorStatus, type SourceState, type SourceStatus, type SwitchStatus } from './source-status.ts';

/** Builds one ownership of the source: probes the server, checks settings, finds the starting point. */
export type OpenSource = (
  grant: Grant,
  hooks: OwnershipHooks,
  signal: AbortSignal,
  /** UUID of the server that was just left because it was lost. */
  leftUuid: string | null,
) => Promise<SourceRun>;

interface LostServer {
  readonly serverUuid: string;
  readonly leftMs: number;
  readonly sinceMs: number;
}

/** A read that is asked for. */
export type ReadOrder = Pick<NewRead, 'id' | 'database' | 'table' | 'scope' | 'reason' | 'actor'>;

/** A source that this instance has handed over. */
export interface SourceMove {
  /** The instance that runs it next. */
  readonly to: string;
  /** Null where the instances share the sources by themselves. */
  readonly askedBy: string | null;
}

interface PendingMove extends SourceMove {
  readonly handedOver: PromiseWithResolvers<boolean>;
}

export interface SourceSupervisorOptions {
  readonly source: string;
  /** Whether the source has more than one endpoint. */
  readonly hasOtherServers: boolean;
  readonly leases: LeaseKeeper;
  readonly open: OpenSource;
  /** Leaves a durable mark: the next owner resyncs the source. */
  readonly requestResync: (grant: Grant, askedBy: string) => Promise<void>;
  /** Leaves a durable mark: the next owner rewinds the source. */
  readonly requestRewind: (grant: Grant, askedBy: string) => Promise<void>;
  /** Leaves a durable mark: the next owner continues in a log that proves nothing. */
  readonly requestAcceptance: (grant: Grant, askedBy: string) => Promise<void>;
  /**
   * Leaves a durable mark: the next owner opens the source on this endpoint (`host:port`), if it can. Resolves with false
   * where an operator's mark comes first.
   */
  readonly requestSwitch: (grant: Grant, wanted: PendingSwitch) => Promise<boolean>;
  /** Resolves when this endpoint has executed what the checkpoint knows to be dispatched, or can not be waited for. */
  readonly awaitTarget: (to: string, checkpoint: Checkpoint, signal: AbortSignal) => Promise<void>;
  readonly journal: Pick<
    SourceJournal,
    'switched' | 'moved' | 'stopped' | 'findsNoServer' | 'purgeIsNear' | 'quarantined'
  >;
  /** Makes a request durable, for whoever owns the source; throws `DITTO_READ_REFUSED` or `DITTO_READ_ID_TAKEN`. */
  readonly acceptRead: (request: ReadOrder) => Promise<void>;
  readonly onConfirmed: (sink: string, latencyMs: number, count: number) => void;
  readonly logger: Logger;
}

const LATENCY_PERIOD_MS = 10_000;
/** A wait that lasts longer is shown and logged. */
const WAIT_LIMIT_MS = 10_000;
/** Tables in a status: it is read every few seconds, and a source may have ten thousand. */
const MOST_TABLES = 100;
/** What the stream says when the server that answers is not as far, or not the one that was read. */
const OTHER_SERVER: ReadonlySet<string> = new Set([
  'DITTO_SOURCE_GTIDS_MISSING',
  'DITTO_SOURCE_LOG_REPLACED',
  'DITTO_SOURCE_LOG_UNPROVEN',
  'DITTO_SOURCE_PURGED',
]);
/** For so long the server that was left counts as lost; later it is asked anew. */
const LEFT_MS = 15_000;
/** A server that could not be moved to is not tried again for so long while the present one only stands still. */
const FAILED_SWITCH_REST_MS = 600_000;
const NO_TABLES = { total: 0, pending: 0, running: 0, done: 0, unavailable: 0, failing: 0 };

/**
 * Keeps one source running for as long as this process may: waits for the lease, opens the source, runs it, and after
 * a failure tries again (retriable) or holds with the error until an operator says `restart` or `resync`.
 */
export class SourceSupervisor {
  readonly #options: SourceSupervisorOptions;
  readonly #latency = new Map<string, LatencyWindow>();
  readonly #rate = new RateMeter(Date.now);
  readonly #waits: Waits;
  #state: SourceState = 'waiting-for-lease';
  #grant: Grant | null = null;
  #run: SourceRun | null = null;
  #checkpoint: Checkpoint | null = null;
  #error: DittoError | null = null;
  #lagMs: number | null = null;
  #lastSwitch: SwitchStatus | null = null;
  /** Whether the source has run since. */
  #isSwitchOver = true;
  #switches = 0;
  /** Why no server can be used, while none can. */
  #refused: readonly RefusedServer[] = [];
  /** The reasons by code that were reported last; the messages name what changes all the time. */
  #noServer: string | null = null;
  /** When the source could by itself not be moved to an endpoint. */
  readonly #failedMovesMs = new Map<string, number>();
  /** The server that was lost, for the opening that follows. */
  #left: LostServer | null = null;
  #logPurge: PurgeForecast | null = null;
  #resume: (() => void) | null = null;
  /** Ends this ownership in order; the source is opened again then. */
  #end: AbortController | null = null;
  /** Where the source goes when this ownership has ended. */
  #move: PendingMove | null = null;

  constructor(options: SourceSupervisorOptions) {
    this.#options = options;
    const { logger } = options;
    this.#waits = new Waits({ limitMs: WAIT_LIMIT_MS, logger, nowMs: Date.now });
  }

  /** Tables in a fixed order, from the one with this index on. */
  listTables(from: number, most: number): readonly TableSnapshotStatus[] {
    return this.#run?.snapshot.list(from, most) ?? [];
  }

  /** Resolves when `signal` is aborted and the source is at rest. */
  async supervise(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff({ initialMs: 500, maxMs: 15_000 });
    while (!signal.aborted) {
      const startedAtMs = Date.now();
      try {
        this.#state = 'waiting-for-lease';
        const { leases } = this.#options;
        const grant = await this.#waits.during(() => leases.describeWait(), leases.acquire(signal));
        await this.#own(grant, signal);
      } catch (cause) {
        if (Date.now() - startedAtMs > 60_000) backoff.reset();
        await this.#pause(toDittoError(cause), backoff.nextMs(), signal);
      }
    }
    this.#state = 'stopped';
  }

  /** Tries again after a coded stop; false when the source is not held by one. */
  restart(): boolean {
    if (this.#resume === null) return false;
    this.#resume();
    return true;
  }

  /**
   * Has the source start again from the beginning: what runs is drained and closed, then the resync that was asked for
   * is the first thing that the next ownership does, here or elsewhere. False when the source is not this process's.
   */
  resync(askedBy: string): Promise<boolean> {
    return this.#reopenWith(this.#options.requestResync, askedBy);
  }

  /** Has the source stream again from before what a sink has lost; the rest as `resync`. */
  rewind(askedBy: string): Promise<boolean> {
    return this.#reopenWith(this.#options.requestRewind, askedBy);
  }

  /** Has the source opened again, by its owner, with an operator's word for its log. False as above. */
  acceptLog(askedBy: string): Promise<boolean> {
    return this.#reopenWith(this.#options.requestAcceptance, askedBy);
  }

  /**
   * Has the source opened on another of its endpoints (`host:port`); it streams on until that one has what was dispatched
   * when it was asked for. False as above.
   */
  switchTo(to: string, askedBy: string): Promise<boolean> {
    const mark = (grant: Grant): Promise<boolean> => this.#options.requestSwitch(grant, { to, askedBy, givesUp: '' });
    return this.#reopenWith(mark, askedBy, async (run, signal) => {
      const checkpoint = { ...run.pipeline.checkpoint(), dispatchedSet: run.pipeline.dispatchedSet() };
      await this.#options.awaitTarget(to, checkpoint, signal);
    });
  }

  /** Has the source continue on a server without what that one lacks, and what it may have changed read again. False as above. */
  acceptLoss({ endpoint, gtids }: Loss, askedBy: string | null): Promise<boolean> {
    const wanted = { to: endpoint, askedBy, givesUp: gtids };
    // where an operator's switch comes first, the source is opened again for that
    return this.#reopenWith(async (grant) => {
      await this.#options.requestSwitch(grant, wanted);
    }, askedBy ?? '');
  }

  /**
   * Drains the source and hands it to another instance; null when it is not this process's. Resolves with whether it was
   * handed over: else the next owner is whoever gets the lease.
   */
  moveTo(move: SourceMove): Promise<boolean> | null {
    if (this.#end === null) return null;
    this.#move?.handedOver.resolve(false);
    const handedOver = Promise.withResolvers<boolean>();
    this.#move = { ...move, handedOver };
    this.#end.abort();
    return handedOver.promise;
  }

  /** Why the last switch could not be done, until the source runs again: later that says nothing. */
  get switchError(): ErrorStatus | null {
    return this.#isSwitchOver ? null : (this.#lastSwitch?.error ?? null);
  }

  /** Whether the source is being handed over. */
  get isMoving(): boolean {
    return this.#move !== null;
  }

  /** Has rows read again, by whoever owns the source. Resolves when the request is durable. */
  async requestRead(request: ReadOrder): Promise<void> {
    await this.#options.acceptRead(request);
    this.#run?.reads.wake();
  }

  /** `leaveMark` may resolve with false: it is not there. `ready`: what a source that runs is left to run for, once it is. */
  async #reopenWith(
    leaveMark: (grant: Grant, askedBy: string) => Promise<unknown>,
    askedBy: string,
    ready: (run: SourceRun, signal: AbortSignal) => Promise<void> = () => Promise.resolve(),
  ): Promise<boolean> {
    if (this.#grant === null) return false;
    // of this ownership: another one does by itself what was marked
    const end = this.#end;
    try {
      if ((await leaveMark(this.#grant, askedBy)) === false) return false;
    } catch (cause) {
      if (toDittoError(cause).code === 'DITTO_LEASE_FENCED') return false;
      throw cause;
    }
    if (end === null || this.#run === null) end?.abort();
    // when it can't be waited for, the opening says why
    else
      void ready(this.#run, end.signal).then(
        () => end.abort(),
        () => end.abort(),
      );
    return true;
  }

  status(): SourceStatus {
    const state = this.#state;
    const grant = this.#grant;
    const run = this.#run;
    const error = this.#error;
    const lagMs = this.#lagMs;
    if (run !== null) this.#checkpoint = run.pipeline.checkpoint();
    const pipeline = run?.pipeline.status() ?? null;
    return {
      name: this.#options.source,
      state,
      owner: grant?.owner ?? null,
      token: grant?.token ?? null,
      lineage: this.#checkpoint?.lineage ?? null,
      checkpoint: this.#checkpoint,
      server: run?.server ?? null,
      refusedServers: (run?.refusedServers ?? this.#refused).map(({ endpoint, error: { code, message, remedy } }) => ({
        endpoint,
        ...{ code, message, remedy },
      })),
      switches: this.#switches,
      lastSwitch: this.#lastSwitch,
      pipeline,
      sinks: run?.sinkStatus() ?? {},
      quarantine: (run?.quarantine ?? []).slice(0, MOST_TABLES),
      snapshot: run?.snapshot.status(MOST_TABLES) ?? [],
      snapshotTables: run?.snapshot.counts() ?? NO_TABLES,
      errantGtids: run?.errantGtids ?? '',
      waits: this.#waits.overdue,
      logPurge: this.#logPurge,
      rowsPerSecond: this.#rate.perSecond(pipeline?.changes ?? 0),
      latencyMs: Object.fromEntries([...this.#latency].map(([sink, window]) => [sink, window.summary()])),
      lagMs:
        pipeline?.phase === 'reconnecting' && pipeline.lastCommitMicros > 0
          ? Date.now() - pipeline.lastCommitMicros / 1000
          : lagMs,
      error: error && describeError(error),
    };
  }

  async #own(grant: Grant, signal: AbortSignal): Promise<void> {
    const { leases, logger, source, open } = this.#options;
    const ownership = new AbortController();
    const done = new AbortController();
    const interrupted = new AbortController();
    const rest = AbortSignal.any([signal, interrupted.signal]);
    const drains = (): void => {
      this.#state = 'draining';
    };
    const renewal = leases
      .renewUntil(grant, done.signal)
      .catch((cause: unknown) => ownership.abort(toDittoError(cause)));
    this.#grant = grant;
    this.#end = interrupted;
    logger.info('owning the source', { source, token: grant.token });
    try {
      this.#state = 'starting';
      const left = this.#left !== null && Date.now() - this.#left.leftMs < LEFT_MS ? this.#left : null;
      this.#left = null;
      const stop = AbortSignal.any([rest, ownership.signal]);
      try {
        const hooks: OwnershipHooks = {
          onConfirmed: (sink, commitMicros, count) => this.#confirmed(sink, commitMicros, count),
          mayDeliver: () => leases.isValid(),
          waits: this.#waits,
          leaveServer: (serverUuid, sinceMs) => {
            this.#left = { serverUuid, sinceMs, leftMs: Date.now() };
            interrupted.abort();
          },
          leaveStandstill: (endpoints) => this.#leaveStandstill(endpoints),
          giveUp: (loss, sinceMs, wanted) => void this.#giveUp(loss, sinceMs, grant, wanted),
          onSwitch: (outcome) => this.#switched(outcome, outcome.askedBy === null ? left : null),
          onForecast: (forecast) => (this.#logPurge = forecast),
          onPurgeNear: (forecast) => this.#options.journal.purgeIsNear(forecast),
          onQuarantined: (...refused) => this.#options.journal.quarantined(...refused),
          onNoServer: (error, refused) => this.#findsNoServer(error, refused),
        };
        this.#run = await this.#waits.during(
          'the source to be opened',
          open(grant, hooks, stop, left?.serverUuid ?? null),
        );

        // not before: a source that is tried again and again says why all the time
        this.#error = null;
        this.#noServer = null;
        this.#isSwitchOver = true;
        this.#state = 'streaming';
        rest.addEventListener('abort', drains, { once: true });
        await this.#run.run(rest, ownership.signal);
      } catch (cause) {
        const error = toDittoError(ownership.signal.aborted ? ownership.signal.reason : cause);
        if (interrupted.signal.aborted) {
          logger.info('ended on request, to be opened again', { source, code: error.code, error: error.message });
          return;
        }
        if (error.retriable || stop.aborted || error.code === 'DITTO_LEASE_FENCED') throw error;
        // another server answers at the endpoint: whether any can be used is found when the source is opened again
        if (this.#run !== null && this.#options.hasOtherServers && OTHER_SERVER.has(error.code)) throw error;
        rest.removeEventListener('abort', drains);
        await this.#holdFailed(error, stop);
      }
    } finally {
      rest.removeEventListener('abort', drains);
      if (this.#run !== null) this.#checkpoint = this.#run.pipeline.checkpoint();
      this.#run = null;
      this.#refused = [];
      this.#logPurge = null;
      this.#grant = null;
      this.#end = null;
      interrupted.abort();
      this.#state = 'waiting-for-lease';
      done.abort();
      await renewal;
      const move = this.#move;
      this.#move = null;
      if (ownership.signal.aborted) move?.handedOver.resolve(false);
      else await this.#release(grant, move);
    }
  }

  async #leaveStandstill(endpoints: readonly string[]): Promise<string | null> {
    const rests = (endpoint: string): boolean =>
      Date.now() - (this.#failedMovesMs.get(endpoint) ?? -Infinity) < FAILED_SWITCH_REST_MS;
    const to = endpoints.find((endpoint) => !rests(endpoint));
    if (to === undefined) return null;
    const wanted = { to, askedBy: null, givesUp: '' };
    return (await this.#reopenWith((grant) => this.#options.requestSwitch(grant, wanted), '')) ? to : null;
  }

  /** The stream is broken: it is opened again on that server, or, where the mark can't be left, tries on as before. */
  async #giveUp(loss: Loss, sinceMs: number, grant: Grant, signal: AbortSignal): Promise<void> {
    const { source, logger } = this.#options;
    const serverUuid = this.#run?.server.serverUuid ?? '';
    const left = { serverUuid, sinceMs, leftMs: Date.now() };
    while (!signal.aborted && this.#grant === grant)
      try {
        this.#left = left;
        await this.acceptLoss(loss, null);
        return;
      } catch (cause) {
        this.#left = null;
        const { code, message } = toDittoError(cause);
        logger.warn('a loss could not be given up yet', { source, ...loss, code, error: message });
        await sleep(1000, signal).catch(() => undefined);
      }
  }

  async #release(grant: Grant, move: PendingMove | null): Promise<void> {
    const isReleased = await this.#options.leases.release(grant, move?.to ?? null);
    if (move === null) return;
    const { to, askedBy, handedOver } = move;
    handedOver.resolve(isReleased);
    if (!isReleased) return;
    this.#options.logger.info('the source is handed over', { source: grant.source, to, askedBy });
    this.#options.journal.moved({ to, askedBy });
  }

  #findsNoServer(error: DittoError, refused: readonly RefusedServer[]): void {
    const { source, logger } = this.#options;
    const { code, message, remedy } = error;
    const reasons = [code, ...refused.map((one) => `${one.endpoint} ${one.error.code}`).sort()].join(', ');
    if (this.#noServer !== reasons) {
      logger.warn('no server of the source can be used, trying on', { source, code, error: message, remedy });
      this.#options.journal.findsNoServer(error);
    }
    this.#noServer = reasons;
    this.#error = error;
    this.#refused = refused;
  }

  #switched(outcome: SwitchOutcome, left: LostServer | null): void {
    const { from, to, askedBy, error, healing } = outcome;
    const nowMs = Date.now();
    // what the source tries by itself it tries again and again
    const { to: lastTo, error: lastError } = this.#lastSwitch ?? {};
    const isRepeated = askedBy === null && error !== null && lastTo === to && lastError?.code === error.code;
    this.#lastSwitch = {
      ...{ from, to, askedBy, atMs: nowMs },
      tookMs: left && nowMs - left.sinceMs,
      error: error && describeError(error),
      healing,
    };
    this.#isSwitchOver = false;
    if (error === null) this.#failedMovesMs.delete(to);
    else if (askedBy === null) this.#failedMovesMs.set(to, nowMs);
    const { source, logger } = this.#options;
    if (error === null) {
      this.#switches++;
      logger.info('the source has moved to another server', { source, ...this.#lastSwitch });
    } else logger.error('the source can not be moved to that server', { source, ...this.#lastSwitch });
    if (!isRepeated) this.#options.journal.switched(outcome);
  }

  /** Keeps the lease, so that no other instance runs into the same stop, until an operator acts. */
  async #holdFailed(error: DittoError, stop: AbortSignal): Promise<void> {
    const { logger, source } = this.#options;
    logger.error('the source has stopped and waits for an operator', {
      source,
      code: error.code,
      error: error.message,
      remedy: error.remedy,
      context: error.context,
    });
    this.#state = 'failed';
    this.#error = error;
    this.#options.journal.stopped(error);
    await new Promise<void>((resolve) => {
      this.#resume = resolve;
      stop.addEventListener('abort', () => resolve(), { once: true });
    });
    this.#resume = null;
  }

  async #pause(error: DittoError, delayMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    this.#options.logger.warn('the source is not running, trying again', {
      source: this.#options.source,
      code: error.code,
      error: error.message,
      remedy: error.remedy,
      delayMs,
    });
    this.#error = error;
    await sleep(delayMs, signal).catch(() => undefined);
  }

  #confirmed(sink: string, commitMicros: number, count: number): void {
    const latencyMs = Date.now() - commitMicros / 1000;
    let window = this.#latency.get(sink);
    if (window === undefined)
      this.#latency.set(sink, (window = new LatencyWindow({ periodMs: LATENCY_PERIOD_MS, nowMs: Date.now })));
    window.record(latencyMs, count);
    this.#lagMs = latencyMs;
    this.#options.onConfirmed(sink, latencyMs, count);
  }
}

function describeError({ code, message, remedy }: DittoError): ErrorStatus {
  return { code, message, remedy };
}
