import { type ServerHeartbeat } from '#dcs-client';
import { type Logger, sleep, toDittoError, type Waits } from '#kernel';
import { type EndpointVitals, findStandstill } from '#mysql';
import { findAhead, isSeenToFollow } from './find-ahead.ts';
import { type SurveyedServer } from './survey-servers.ts';

export interface StandstillWatchOptions {
  /** `host:port` of the server that is streamed. */
  readonly endpoint: string;
  readonly probe: () => Promise<EndpointVitals>;
  /** Null where there is no other server to move to, or an operator moves the source. */
  readonly leaving: StandstillLeaving | null;
  readonly waits: Waits;
  readonly logger: Logger;
  readonly everyMs: number;
  readonly nowMs: () => number;
}

/** How a server that stands still is left. */
export interface StandstillLeaving {
  /** How long it must have stood still, each time that it was asked. */
  readonly afterMs: number;
  readonly serverUuid: string;
  readonly dispatchedSet: () => string;
  readonly acceptGtids: string;
  readonly survey: (signal: AbortSignal) => Promise<readonly SurveyedServer[]>;
  /** What others found of the servers of the source. */
  readonly heartbeats: () => Promise<readonly ServerHeartbeat[]>;
  /** That one is ahead. Resolves with whether the source is moved there. */
  readonly leave: (endpoint: string) => Promise<boolean>;
}

/**
 * Asks the server that is streamed now and then whether it can show anything new: a replica whose replication is stopped,
 * or a primary that was made read-only, answers and is silent. That is reported as a wait of the source. When it has
 * stood still for a while and another server provably has more, the source moves there. Resolves when `signal` is aborted.
 */
export async function watchStandstill(options: StandstillWatchOptions, signal: AbortSignal): Promise<void> {
  const { endpoint, probe, waits, logger, everyMs, nowMs } = options;
  let { leaving } = options;
  let reason = '';
  let end: (() => void) | null = null;
  let sinceMs: number | null = null;
  while (!signal.aborted) {
    try {
      const found = findStandstill(await probe());
      reason = found?.error.message ?? '';
      if (found === null) {
        end?.();
        end = sinceMs = null;
      } else {
        end ??= waits.begin(() => `${endpoint} to show changes again: ${reason}`);
        if (sinceMs !== null && leaving !== null && nowMs() - sinceMs >= leaving.afterMs)
          if (await tryToLeave(leaving, { endpoint, reason, sinceMs }, logger, signal)) leaving = null;
        sinceMs ??= nowMs();
      }
    } catch (cause) {
      // one that does not answer is the stream's business
      sinceMs = null;
      const { code, message } = toDittoError(cause);
      logger.debug('the server could not be asked whether it stands still', { endpoint, code, error: message });
    }
    await sleep(everyMs, signal).catch(() => undefined);
  }
  end?.();
}

async function tryToLeave(
  { serverUuid, dispatchedSet, acceptGtids, survey, heartbeats, leave }: StandstillLeaving,
  { endpoint, reason, sinceMs }: { readonly endpoint: string; readonly reason: string; readonly sinceMs: number },
  logger: Logger,
  signal: AbortSignal,
): Promise<boolean> {
  const servers = await survey(signal);
  const ahead = findAhead(servers, { currentUuid: serverUuid, dispatchedSet: dispatchedSet(), acceptGtids });
  if (ahead === null || (await isSeenToFollow(heartbeats, serverUuid, sinceMs))) return false;
  signal.throwIfAborted();
  if (!(await leave(ahead.endpoint))) return false;
  logger.warn('the server of the source stands still, and another one is ahead of it', {
    ...{ from: endpoint, to: ahead.endpoint, reason, sinceMs },
  });
  return true;
}
