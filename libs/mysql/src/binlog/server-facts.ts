import { type RowDataPacket } from 'mysql2';
import { DittoError } from '#kernel';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { readCharacterSets } from '../values/character-set-facts.ts';
import { type CharacterSetFacts } from '../values/charset.ts';
import { MySqlSession } from '../mysql-session.ts';

/** What the stream needs to know of the server before it reads its log. */
export interface ServerFacts {
  readonly serverUuid: string;
  readonly characterSets: CharacterSetFacts;
}

interface PositionRow extends RowDataPacket {
  readonly uuid: string;
  readonly gtidMode: string;
  readonly missing: string;
  readonly purged: string;
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
    const [position] = await session.query<PositionRow>(
      `SELECT @@GLOBAL.server_uuid AS uuid, @@GLOBAL.gtid_mode AS gtidMode,
              REPLACE(GTID_SUBTRACT(?, @@GLOBAL.gtid_executed), '\\n', '') AS missing,
              REPLACE(GTID_SUBTRACT(@@GLOBAL.gtid_purged, ?), '\\n', '') AS purged`,
      [gtidSet, gtidSet],
    );
    if (position === undefined)
      throw new DittoError('DITTO_SOURCE_QUERY_FAILED', 'the server told nothing about itself');
    assertServes(position);
    return { serverUuid: position.uuid, characterSets: await readCharacterSets(session) };
  } finally {
    session.close();
  }
}

function assertServes({ uuid, gtidMode, missing, purged }: PositionRow): void {
  if (gtidMode !== 'ON') {
    throw new DittoError('DITTO_SOURCE_GTID_MODE', `gtid_mode is ${gtidMode}`, {
      remedy: 'SET PERSIST enforce_gtid_consistency = ON; raise gtid_mode step by step to ON.',
    });
  }
  if (missing !== '') {
    throw new DittoError('DITTO_SOURCE_GTIDS_MISSING', `server ${uuid} never executed ${missing}`, {
      remedy:
        'Connect to a server of the cluster that has these transactions, or resync the source (npm run ditto -- resync --source <name>).',
      context: { serverUuid: uuid, missing },
    });
  }
  if (purged !== '') {
    throw new DittoError(
      'DITTO_SOURCE_PURGED',
      `server ${uuid} purged ${purged} from its log, which was not read yet`,
      {
        remedy:
          'Resync the source (npm run ditto -- resync --source <name>), or connect to a server that still has these transactions.',
        context: { serverUuid: uuid, missing: purged },
      },
    );
  }
}
