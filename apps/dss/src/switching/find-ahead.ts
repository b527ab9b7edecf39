import { GtidSet } from '#change-events';
import { type ServerHeartbeat } from '#dcs-client';
import { type EndpointVitals, findStandstill } from '#mysql';
import { judgeServers } from './judge-servers.ts';
import { type AnsweringServer, hasAnswered, type SurveyedServer } from './survey-servers.ts';

/**
 * Whether a server that answered can show nothing new, and may again. One that does not show whether it replicates may be a
 * replica that has nothing to apply, or is at a long transaction.
 */
export function standsStill(server: EndpointVitals): boolean {
  const isKnown = server.replica !== null || server.showsReplication;
  return isKnown && findStandstill(server)?.mayPass === true;
}

/** The server with that UUID, where it answered. */
export function findServer(
  servers: readonly SurveyedServer[],
  serverUuid: string | undefined,
): AnsweringServer | undefined {
  return servers.filter(hasAnswered).find(({ answer }) => answer.serverUuid === serverUuid);
}

/**
 * The servers that may take the place of one that answers and stands still, the preferred first: each has all that it has
 * executed, and more. A cluster in which nothing is written is no reason to move.
 */
export function findAhead(
  servers: readonly SurveyedServer[],
  judged: Parameters<typeof judgeServers>[1],
): readonly AnsweringServer[] {
  const { current, candidates } = judgeServers(servers, judged);
  if (current === null || !standsStill(current.answer)) return [];
  const executed = GtidSet.parse(current.answer.gtidExecuted);
  const isAhead = ({ answer }: AnsweringServer): boolean => {
    const has = GtidSet.parse(answer.gtidExecuted);
    return has.contains(executed) && !executed.contains(has);
  };
  return candidates.filter(isAhead);
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
