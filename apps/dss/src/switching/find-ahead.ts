import { GtidSet } from '#change-events';
import { type ServerHeartbeat } from '#dcs-client';
import { findStandstill } from '#mysql';
import { judgeServers } from './judge-servers.ts';
import { type AnsweringServer, type SurveyedServer } from './survey-servers.ts';

/**
 * The server that may take the place of one that answers and stands still: one that has all that it has executed, and more.
 * Null where there is none: a cluster in which nothing is written is no reason to move.
 */
export function findAhead(
  servers: readonly SurveyedServer[],
  judged: Parameters<typeof judgeServers>[1],
): AnsweringServer | null {
  const { current, candidates } = judgeServers(servers, judged);
  if (current === null || findStandstill(current.answer)?.mayPass !== true) return null;
  const executed = GtidSet.parse(current.answer.gtidExecuted);
  const isAhead = ({ answer }: AnsweringServer): boolean => {
    const has = GtidSet.parse(answer.gtidExecuted);
    return has.contains(executed) && !executed.contains(has);
  };
  return candidates.find(isAhead) ?? null;
}

/** Whether DWS has found since then that the server can show changes. DCS that does not answer knows nothing against it. */
export async function isSeenToFollow(
  heartbeats: () => Promise<readonly ServerHeartbeat[]>,
  serverUuid: string | null,
  sinceMs: number,
): Promise<boolean> {
  const known = await heartbeats().catch(() => []);
  return known.some(
    ({ reachable, serverUuid: uuid, probedAtMs, replicaError, replicaLagMs, readOnly }) =>
      reachable &&
      uuid === serverUuid &&
      probedAtMs > sinceMs &&
      replicaError === null &&
      (readOnly === false || replicaLagMs !== null),
  );
}
