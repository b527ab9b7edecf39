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
  /** That these are ahead. Resolves with the one that the source is moved to; null where it stays. */
  readonly leave: (endpoints: readonly string[]) => Promise<string | null>;
}

/**
 * Asks the server that is streamed now and then whether it can show anything new: a replica whose replication is stopped,
 * or a primary that was made read-only, answers and is silent. That is reported as a wait of the source. When it has
 * stood still for a while, executed nothing in that time, and another server provably has more, the source moves there.
 * Resolves when `signal` is aborted.
 */
export async function watchStandstill(options: StandstillWatchOptions, signal: AbortSignal): Promise<void> {
  const { endpoint, probe, waits, logger, everyMs, nowMs } = options;
  let { leaving } = options;
  let reason = '';
  let end: (() => void) | null = null;
  let sinceMs: number | null = null;
  let executed: string | null = null;
  while (!signal.aborted) {
    try {
      const vitals = await probe();
      // what it has executed since is to be shown, whatever it says of its replication
      const hasMoved = executed !== null && executed !== vitals.gtidExecuted;
      executed = vitals.gtidExecuted;
      const found = hasMoved ? null : findStandstill(vitals);
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
      // one that does not answer is the stream's business; one that could not be left has to stand still for the time again
      sinceMs = null;
      const { code, message } = toDittoError(cause);
      const what = 'the server could not be asked whether it stands still, or not be left';
      logger.debug(what, { endpoint, code, error: message });
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
  if (ahead.length === 0 || (await isSeenToFollow(heartbeats, serverUuid, sinceMs))) return false;
  signal.throwIfAborted();
  const to = await leave(ahead.map((server) => server.endpoint));
  if (to === null) return false;
  logger.warn('the server of the source stands still, and another one is ahead of it', {
    ...{ from: endpoint, to, reason, sinceMs },
  });
  return true;
}
