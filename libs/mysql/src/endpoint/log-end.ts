import { type RowDataPacket } from 'mysql2';
import { type MySqlConnectionOptions } from '../connection-options.ts';
import { type MySqlSession } from '../mysql-session.ts';
import { tryQuery } from '../optional-query.ts';
import { ReaderSessions } from '../reader/reader-sessions.ts';
import { readServerIdentity } from './server-identity.ts';

/** Where a server's log ends: everything that it has logged begins before. */
export interface LogEnd {
  readonly serverUuid: string;
  readonly file: string;
  readonly offset: number;
}

/** `SHOW MASTER STATUS` is gone since 8.4, `SHOW BINARY LOG STATUS` is not there before 8.2: both are tried. */
export async function readLogStatus(session: MySqlSession): Promise<RowDataPacket | undefined> {
  return (await tryQuery(session, ['SHOW BINARY LOG STATUS', 'SHOW MASTER STATUS']))?.[0];
}

/** Asks one server again and again where its log ends, over connections that are kept until `close`. */
export class LogEndReader {
  readonly #sessions: ReaderSessions;
  /** A connection leads to one server for as long as it lives. */
  readonly #serverUuids = new WeakMap<MySqlSession, string>();

  constructor(connection: MySqlConnectionOptions) {
    this.#sessions = new ReaderSessions(connection);
  }

  /** Null for a user who may not ask for it, or a server without a log. Rejects with a coded error when it can't be asked. */
  async read(signal: AbortSignal): Promise<LogEnd | null> {
    return this.#sessions.use(signal, async (session) => {
      const serverUuid = this.#serverUuids.get(session) ?? (await readServerIdentity(session)).serverUuid;
      this.#serverUuids.set(session, serverUuid);
      const log = await readLogStatus(session);
      const file = String(log?.['File'] ?? '');
      return file === '' ? null : { serverUuid, file, offset: Number(log?.['Position']) };
    });
  }

  close(): void {
    this.#sessions.close();
  }
}
