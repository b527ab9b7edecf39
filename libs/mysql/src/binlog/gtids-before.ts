import { type RowDataPacket } from 'mysql2';
import { binlogFileNumber, GtidAccumulator, GtidSet } from '#change-events';
import { type MySqlSession } from '../mysql-session.ts';
import { FIRST_OFFSET } from './dump-commands.ts';

/** A place between two transactions of a server's log. */
export interface LogPlace {
  readonly file: string;
  readonly offset: number;
  /** GTIDs of all transactions that were logged before it. */
  readonly gtidSet: string;
}

interface FileRow extends RowDataPacket {
  readonly Log_name: string;
}

interface EventRow extends RowDataPacket {
  readonly Pos: number;
  readonly Event_type: string;
  readonly Info: string;
}

interface GtidRow extends RowDataPacket {
  readonly gtids: string | null;
}

const EVENTS_OF_A_PAGE = 2_000;
const NEXT_GTID = /^SET @@SESSION\.GTID_NEXT\s*=\s*'([^']+)'/i;

/** Null when the file with that number is not there any more. */
export async function findGtidsBefore(
  session: MySqlSession,
  fileNumber: number,
  offset: number,
): Promise<LogPlace | null> {
  const files = await session.query<FileRow>('SHOW BINARY LOGS');
  const file = files.map(({ Log_name }) => Log_name).find((name) => binlogFileNumber(name) === fileNumber);
  if (file === undefined) return null;
  const isMariaDb = session.kind === 'mariadb';
  const gtidSet = isMariaDb ? await askGtids(session, file, offset) : await collectGtids(session, file, offset);
  return { file, offset, gtidSet: gtidSet.toString() };
}

async function askGtids(session: MySqlSession, file: string, offset: number): Promise<GtidSet> {
  const [row] = await session.query<GtidRow>('SELECT BINLOG_GTID_POS(?, ?) AS gtids', [file, offset]);
  return GtidSet.parse(row?.gtids ?? '');
}

/** The head of a file says what lies before it; what lies in it is counted event by event, in pages. */
async function collectGtids(session: MySqlSession, file: string, offset: number): Promise<GtidSet> {
  const found = new GtidAccumulator();
  for (let from = FIRST_OFFSET; ;) {
    const events = await session.query<EventRow>(`SHOW BINLOG EVENTS IN ? FROM ${from} LIMIT ${EVENTS_OF_A_PAGE}`, [
      file,
    ]);
    for (const { Pos, Event_type, Info } of events) {
      if (Pos >= offset) return found.toSet();
      if (Event_type === 'Previous_gtids') found.addAll(GtidSet.parse(Info));
      // of other events `Info` is text of users
      const gtid = /^gtid/i.test(Event_type) ? NEXT_GTID.exec(Info)?.[1] : undefined;
      if (gtid !== undefined) found.add(gtid);
    }
    const last = events.at(-1);
    if (last === undefined || events.length < EVENTS_OF_A_PAGE) return found.toSet();
    // the last event of a page is the first of the next: where an event ends is written with 32 bits only
    from = last.Pos;
  }
}
