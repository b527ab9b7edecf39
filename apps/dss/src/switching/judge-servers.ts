import { GtidSet } from '#change-events';
import { type DittoError } from '#kernel';
import { findUnfitness } from '#mysql';
import { type AnsweringServer, hasAnswered, type SurveyedServer } from './survey-servers.ts';

/** Why a server can't take the place of the one that is lost. */
export interface RefusedServer {
  readonly endpoint: string;
  readonly error: DittoError;
  /** Whether it may pass by itself. */
  readonly mayPass: boolean;
}

export interface Judgement {
  /** The server with the UUID that was asked for, when it answered. */
  readonly current: AnsweringServer | null;
  /** Others that the source can continue with, as far as can be told before their logs are read; the preferred first. */
  readonly candidates: readonly AnsweringServer[];
  readonly refused: readonly RefusedServer[];
}

/** Which of the servers that answered is the one that was streamed, and which may follow it (I7). */
export function judgeServers(
  servers: readonly SurveyedServer[],
  {
    currentUuid,
    dispatchedSet,
    acceptGtids,
  }: {
    readonly currentUuid: string | null;
    /** Null for a source that starts over: nothing need be there. */
    readonly dispatchedSet: string | null;
    /** What the operator answers for though no log gives it. */
    readonly acceptGtids: string;
  },
): Judgement {
  let current: AnsweringServer | null = null;
  const candidates: AnsweringServer[] = [];
  const refused: RefusedServer[] = [];
  for (const server of servers) {
    const { endpoint } = server;
    if (!hasAnswered(server)) {
      refused.push({ endpoint, error: server.answer as DittoError, mayPass: true });
      continue;
    }
    if (server.answer.serverUuid === currentUuid) {
      current ??= server;
      continue;
    }
    const unlogged = GtidSet.parse(acceptGtids).intersect(GtidSet.parse(server.answer.gtidPurged));
    const given = dispatchedSet === null ? null : GtidSet.parse(dispatchedSet).union(unlogged).toString();
    const unfitness = findUnfitness(server.answer, given);
    if (unfitness === null) candidates.push(server);
    else refused.push({ endpoint, ...unfitness });
  }
  return { current, candidates, refused };
}
