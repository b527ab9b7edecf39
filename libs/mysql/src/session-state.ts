import { type RowDataPacket } from 'mysql2';
import { toDittoError } from '#kernel';
import { type SessionState } from './silence-watch.ts';

/** Which session of which server. */
export interface SessionIdentity {
  readonly server: string;
  readonly thread: number;
}

/** The session that asks. */
export interface AskingSession {
  readonly identity: SessionIdentity;
  query<T extends RowDataPacket>(sql: string): Promise<T[]>;
  close(): void;
}

interface ProcessRow extends RowDataPacket {
  readonly Id: number;
  readonly Command: string;
  readonly State: string | null;
}

/** The server answered, although not with what was asked for. */
const ANSWERS: ReadonlySet<string> = new Set([
  'DITTO_SOURCE_BUSY',
  'DITTO_SOURCE_ACCESS_DENIED',
  'DITTO_SOURCE_TLS_FAILED',
  'DITTO_SOURCE_REFUSED',
  'DITTO_SOURCE_QUERY_FAILED',
]);
/** The server waits until the client takes what it sends: MySQL's name and MariaDB's. */
const WRITING: ReadonlySet<string> = new Set(['Sending to client', 'Writing to net']);

/** Asks on a connection of its own what the server does for that session, which is one of the same user. Never rejects. */
export async function findSessionState(
  { server, thread }: SessionIdentity,
  open: (signal: AbortSignal) => Promise<AskingSession>,
  limitMs: number,
): Promise<SessionState> {
  let asking: AskingSession | null = null;
  try {
    asking = await open(AbortSignal.timeout(limitMs));
    if (asking.identity.server !== server) return 'unknown';
    const sessions = await asking.query<ProcessRow>('SHOW PROCESSLIST');
    const found = sessions.find(({ Id }) => Id === thread);
    return found === undefined || found.Command === 'Sleep' || WRITING.has(found.State ?? '') ? 'dead' : 'working';
  } catch (error) {
    return ANSWERS.has(toDittoError(error).code) ? 'unknown' : 'dead';
  } finally {
    asking?.close();
  }
}
