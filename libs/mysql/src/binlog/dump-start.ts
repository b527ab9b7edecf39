import { type RowDataPacket } from 'mysql2';
import { type FilePosition, GtidSet, type Position } from '#change-events';
import { DittoError } from '#kernel';
import { assertServerHolds } from '../endpoint/gtid-proof.ts';
import { type ServerIdentity, withoutSpace } from '../endpoint/server-identity.ts';
import { RAISE_GTID_MODE } from '../gtid-mode.ts';
import { type MySqlSession } from '../mysql-session.ts';
import { tryQuery } from '../optional-query.ts';
import { FIRST_OFFSET, MOST_OLD_DUMP_OFFSET, type DumpStart } from './dump-commands.ts';
import { PlaceProof } from './place-proof.ts';

interface ModeRow extends RowDataPacket {
  readonly mode: string | number;
}

/** Proves that the server can continue from there, and gives how its dump has to begin. */
export function findDumpStart(
  session: MySqlSession,
  identity: ServerIdentity,
  from: Position | FilePosition,
): Promise<DumpStart> {
  return from.gtidSet === null ? startAt(session, identity, from) : startBehind(session, identity, from);
}

async function readOrder(session: MySqlSession): Promise<{ readonly variable: string; readonly mode: string }> {
  const variable = session.kind === 'mariadb' ? 'gtid_strict_mode' : 'gtid_mode';
  const [row] = await session.query<ModeRow>(`SELECT @@GLOBAL.${variable} AS mode`);
  return { variable, mode: row?.mode === 1 ? 'ON' : String(row?.mode ?? '') };
}

async function startBehind(session: MySqlSession, identity: ServerIdentity, from: Position): Promise<DumpStart> {
  const { variable, mode } = await readOrder(session);
  if (mode !== 'ON')
    throw new DittoError('DITTO_SOURCE_GTID_MODE', `${variable} is ${mode}`, {
      remedy:
        identity.kind === 'mariadb'
          ? 'SET GLOBAL gtid_strict_mode = ON; and the same in the server’s configuration file.'
          : RAISE_GTID_MODE,
    });
  assertServerHolds(from.gtidSet, identity);
  if (identity.kind === 'mariadb') return { mariaDbGtids: from.gtidSet };
  const file = await findFileToBeginWith(session, identity, from);
  return file === null ? { gtidSet: from.gtidSet } : { gtidSet: from.gtidSet, file };
}

/**
 * Left alone, a server begins with the newest file that has no GTID of the set after it, and passes over whole files
 * that hold nothing but transactions without a GTID, unseen (`find_first_log_not_in_gtid_set` in `sql/binlog.cc`). Told
 * to begin with the file of the position, it meets them and refuses. Null where that file may be too new, because
 * the set leaves out what is before it, an undecided XA PREPARE say (the server begins earlier by itself), or where
 * the file is not one of this server.
 */
async function findFileToBeginWith(
  session: MySqlSession,
  identity: ServerIdentity,
  { gtidSet, file, serverUuid }: Position,
): Promise<string | null> {
  if (file === '' || serverUuid !== identity.serverUuid) return null;
  const events = await tryQuery(session, ['SHOW BINLOG EVENTS IN ? LIMIT 2'], [file]);
  const before = events?.find((row) => row['Event_type'] === 'Previous_gtids');
  if (before === undefined) return null;
  const isRead = GtidSet.parse(gtidSet).contains(GtidSet.parse(withoutSpace(String(before['Info'] ?? ''))));
  return isRead ? file : null;
}

/**
 * The old command takes 32 bits of an offset, and the new one only a server with `gtid_mode=ON` answers: elsewhere a
 * place beyond 4 GiB is found by reading its file from the head.
 */
async function startAt(session: MySqlSession, identity: ServerIdentity, from: FilePosition): Promise<DumpStart> {
  const { file, offset, serverUuid } = from;
  if (serverUuid !== identity.serverUuid) throw otherServer(from, identity.serverUuid);
  if (file === '' || offset < FIRST_OFFSET) throw new PlaceProof(from).refuse('no file has such a place');
  if (identity.kind === 'mariadb')
    return { file, offset: offset > MOST_OLD_DUMP_OFFSET ? FIRST_OFFSET : offset, isMariaDb: true };
  if (offset <= MOST_OLD_DUMP_OFFSET || (await readOrder(session)).mode === 'ON') return { file, offset };
  return { file, offset: FIRST_OFFSET };
}

function otherServer({ file, offset, serverUuid: expected }: FilePosition, serverUuid: string): DittoError {
  return new DittoError(
    'DITTO_SOURCE_OTHER_SERVER',
    `${file}:${offset} is a place in the log of server ${expected === '' ? '(not known)' : expected}, but server ${serverUuid} answers`,
    {
      remedy: `Connect to server ${expected}. On any other the place means nothing: copy all rows of that server again and start after the end of its own log.`,
      context: { serverUuid, expected, file, offset },
    },
  );
}
