import { type RowDataPacket } from 'mysql2';
import { type LoadSample, SourceLoad } from '#replication';
import { type MySqlSession } from '../mysql-session.ts';
import { PolledSession, type PolledSessionOptions } from './polled-session.ts';
import { readReplicaLag } from './replica-state.ts';

interface StatusRow extends RowDataPacket {
  readonly Value: string;
}

/** Asks one server over a connection of its own, so that an answer does not wait for a read. */
export class MySqlSourceLoad extends SourceLoad {
  readonly #session: PolledSession;

  constructor(options: PolledSessionOptions) {
    super();
    this.#session = new PolledSession(options);
  }

  override async measure(): Promise<LoadSample> {
    return this.#session.ask(async (session) => ({
      runningThreads: await readRunningThreads(session),
      lagMs: await readReplicaLag(session),
    }));
  }

  close(): void {
    this.#session.close();
  }
}

/** Without the one that answers. */
async function readRunningThreads(session: MySqlSession): Promise<number> {
  const [row] = await session.query<StatusRow>("SHOW GLOBAL STATUS LIKE 'Threads_running'");
  return Math.max(0, Number(row?.Value ?? 1) - 1);
}
