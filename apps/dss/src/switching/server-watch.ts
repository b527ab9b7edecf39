import { type ServerHeartbeat } from '#dcs-client';
import { type Logger, sleep, toDittoError } from '#kernel';
import { findLoss, type Loss, LossWatch } from './find-loss.ts';
import { isReachedByOthers } from './is-reached-by-others.ts';
import { judgeServers, type RefusedServer } from './judge-servers.ts';
import { hasAnswered, type SurveyedServer } from './survey-servers.ts';

export interface ServerWatchOptions {
  readonly source: string;
  /** `host:port` of the server that is streamed. */
  readonly endpoint: string;
  readonly serverUuid: string;
  /** How long the server must not have answered. */
  readonly afterMs: number;
  readonly survey: (signal: AbortSignal) => Promise<readonly SurveyedServer[]>;
  /** What others found of the servers of the source. */
  readonly heartbeats: () => Promise<readonly ServerHeartbeat[]>;
  readonly dispatchedSet: () => string;
  readonly acceptGtids: string;
  /** The server is lost, and `candidate` may take its place, or leads to the same server. Called once. */
  readonly leave: (candidate: string, lostSinceMs: number) => void;
  /** How long a loss must have stood before it is given up. */
  readonly waitMs: number;
  /**
   * No server has all that was read, and the cluster goes on without it. Called once; null where a person decides. The signal
   * is aborted when the stream continues after all.
   */
  readonly giveUp: ((loss: Loss, lostSinceMs: number, signal: AbortSignal) => void) | null;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

const LOOK_EVERY_MS = 250;
/** After a while servers are asked less often. */
const OFTEN_MS = 120_000;
const LATER_EVERY_MS = 2000;
/** A server that DWS reaches is left only after this many times `afterMs`: then it is the way to it that is broken. */
const DISPUTED_TIMES = 20;

/**
 * Looks, while the stream of a source is broken, whether its server is lost and another one can take its place: not
 * before the server has failed to answer new connections for a while, and not while others reach it. Until then the
 * stream itself tries to continue on the server that it had.
 */
export class ServerWatch {
  readonly #options: ServerWatchOptions;
  #brokenSinceMs: number | null = null;
  #look: AbortController | null = null;
  #refused: readonly RefusedServer[] = [];

  constructor(options: ServerWatchOptions) {
    this.#options = options;
  }

  /** While the stream is broken: why no other server has taken the place of its own yet. */
  get refused(): readonly RefusedServer[] {
    return this.#refused;
  }

  /** The stream is broken, or still is. */
  broken(): void {
    this.#brokenSinceMs ??= this.#options.nowMs();
    if (this.#look !== null) return;
    this.#look = new AbortController();
    void this.#lookUntil(this.#look.signal, this.#brokenSinceMs);
  }

  /** The stream continues, or has ended. */
  over(): void {
    this.#look?.abort();
    this.#look = null;
    this.#brokenSinceMs = null;
    this.#refused = [];
  }

  async #lookUntil(signal: AbortSignal, sinceMs: number): Promise<void> {
    const lost = { sinceMs, losses: new LossWatch(this.#options.waitMs, this.#options.nowMs) };
    for (;;)
      try {
        if (await this.#lookOnce(lost, signal)) return;
        const isNew = this.#options.nowMs() - sinceMs < OFTEN_MS;
        await sleep(isNew ? LOOK_EVERY_MS : LATER_EVERY_MS, signal);
      } catch (cause) {
        if (signal.aborted) return;
        const { code, message } = toDittoError(cause);
        this.#options.logger.warn('other servers of the source could not be looked at', { code, error: message });
        await sleep(LOOK_EVERY_MS, signal).catch(() => undefined);
      }
  }

  /** Whether the server is left. `lost` says since when its endpoint has not answered. */
  async #lookOnce(lost: { sinceMs: number; readonly losses: LossWatch }, signal: AbortSignal): Promise<boolean> {
    const {
      source,
      serverUuid,
      afterMs,
      survey,
      heartbeats,
      dispatchedSet,
      acceptGtids,
      leave,
      giveUp,
      logger,
      nowMs,
    } = this.#options;
    const askedAtMs = nowMs();
    const servers = await survey(signal);
    signal.throwIfAborted();
    const judged = { currentUuid: serverUuid, dispatchedSet: dispatchedSet(), acceptGtids };
    const { current, candidates, refused } = judgeServers(servers, judged);
    this.#report(refused);
    // a server that answers is not lost, whatever keeps its log from being read
    const own = servers.find(({ endpoint }) => endpoint === this.#options.endpoint);
    if (own !== undefined && hasAnswered(own) && own.answer.serverUuid === serverUuid) lost.sinceMs = askedAtMs;
    const candidate = current ?? candidates[0];
    const lostForMs = nowMs() - lost.sinceMs;
    const loss = lost.losses.note(candidate === undefined && lostForMs >= afterMs ? findLoss(refused) : null);
    if (loss !== null && giveUp !== null) {
      if (await isReachedByOthers(heartbeats, serverUuid, lost.sinceMs)) return false;
      signal.throwIfAborted();
      giveUp(loss, lost.sinceMs, signal);
      return true;
    }
    if (candidate === undefined || candidate === own || lostForMs < afterMs) return false;
    if (
      current === null &&
      lostForMs < DISPUTED_TIMES * afterMs &&
      (await isReachedByOthers(heartbeats, serverUuid, lost.sinceMs))
    )
      return false;
    signal.throwIfAborted();
    logger.warn('the server of the source is lost, another one takes its place', {
      source,
      from: this.#options.endpoint,
      to: candidate.endpoint,
      lostForMs,
    });
    leave(candidate.endpoint, lost.sinceMs);
    return true;
  }

  #report(refused: readonly RefusedServer[]): void {
    const known = new Set(this.#refused.map(describe));
    for (const one of refused)
      if (one.endpoint !== this.#options.endpoint && !known.has(describe(one)))
        this.#options.logger.warn('a server can not take the place of the one that is lost', {
          source: this.#options.source,
          endpoint: one.endpoint,
          code: one.error.code,
          error: one.error.message,
          remedy: one.error.remedy,
        });
    this.#refused = refused;
  }
}

function describe({ endpoint, error }: RefusedServer): string {
  return `${endpoint} ${error.code}`;
}
