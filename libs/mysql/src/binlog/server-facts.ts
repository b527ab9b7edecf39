import { type FilePosition, type LoggedTransaction, type Position } from '#change-events';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { readServerIdentity } from '../endpoint/server-identity.ts';
import { type ServerKind } from '../server-kind.ts';
import { readCharacterSets } from '../values/character-set-facts.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { MySqlSession } from '../mysql-session.ts';
import { type DumpStart } from './dump-commands.ts';
import { findDumpStart } from './dump-start.ts';
import { LogProof } from './log-proof.ts';

/** What the stream needs to know of the server before it reads its log. */
export interface ServerFacts {
  readonly kind: ServerKind;
  readonly serverUuid: string;
  /** As sessions name it, see `SessionIdentity`. */
  readonly server: string;
  readonly characterSets: CharacterSetFacts;
  readonly start: DumpStart;
}

/**
 * Reads them on a connection of its own, and proves that the server can continue from there:
 * `DITTO_SOURCE_GTIDS_MISSING` when it never executed part of the set, `DITTO_SOURCE_PURGED` when what follows is gone,
 * `DITTO_SOURCE_OTHER_SERVER` when a file and an offset are another's; and what `LogProof` says of the transactions of
 * `proof`.
 */
export async function readServerFacts(
  options: MySqlConnectionOptions,
  from: Position | FilePosition,
  signal: AbortSignal,
  proof: readonly (LoggedTransaction | null)[] = [],
): Promise<ServerFacts> {
  const session = await MySqlSession.open(options, signal);
  try {
    const identity = await readServerIdentity(session);
    const start = await findDumpStart(session, identity, from);
    const known = proof.filter((one) => one !== null);
    await new LogProof(options).prove(identity, known, signal);
    return {
      kind: identity.kind,
      serverUuid: identity.serverUuid,
      server: session.identity.server,
      start,
      characterSets: await readCharacterSets(session),
    };
  } finally {
    session.close();
  }
}
