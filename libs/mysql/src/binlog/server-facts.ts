import { type RowDataPacket } from 'mysql2';
import { DittoError } from '#kernel';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { assertServerHolds } from '../endpoint/gtid-proof.ts';
import { readServerIdentity } from '../endpoint/server-identity.ts';
import { type ServerKind } from '../server-kind.ts';
import { readCharacterSets } from '../values/character-set-facts.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { MySqlSession } from '../mysql-session.ts';

/** What the stream needs to know of the server before it reads its log. */
export interface ServerFacts {
  readonly kind: ServerKind;
  readonly serverUuid: string;
  readonly characterSets: CharacterSetFacts;
}

interface ModeRow extends RowDataPacket {
  readonly mode: string | number;
}

/**
 * Reads them on a connection of its own, and proves that the server can go on from `gtidSet`:
 * `DITTO_SOURCE_GTIDS_MISSING` when it never executed part of it, `DITTO_SOURCE_PURGED` when what follows is gone.
 */
export async function readServerFacts(
  options: MySqlConnectionOptions,
  gtidSet: string,
  signal: AbortSignal,
): Promise<ServerFacts> {
  const session = await MySqlSession.open(options, signal);
  try {
    await assertOrderedByGtid(session);
    const identity = await readServerIdentity(session);
    assertServerHolds(gtidSet, identity);
    return {
      kind: identity.kind,
      serverUuid: identity.serverUuid,
      characterSets: await readCharacterSets(session),
    };
  } finally {
    session.close();
  }
}

async function assertOrderedByGtid(session: MySqlSession): Promise<void> {
  const isMariaDb = session.kind === 'mariadb';
  const variable = isMariaDb ? 'gtid_strict_mode' : 'gtid_mode';
  const [row] = await session.query<ModeRow>(`SELECT @@GLOBAL.${variable} AS mode`);
  if (row?.mode === 'ON' || row?.mode === 1) return;
  throw new DittoError('DITTO_SOURCE_GTID_MODE', `${variable} is ${row?.mode}`, {
    remedy: isMariaDb
      ? 'SET GLOBAL gtid_strict_mode = ON; and the same in the server’s configuration file.'
      : 'SET PERSIST enforce_gtid_consistency = ON; raise gtid_mode step by step to ON.',
  });
}
