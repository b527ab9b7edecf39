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
  currentUuid: string | null,
  dispatchedSet: string,
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
    const unfitness = findUnfitness(server.answer, dispatchedSet);
    if (unfitness === null) candidates.push(server);
    else refused.push({ endpoint, ...unfitness });
  }
  return { current, candidates, refused };
}
