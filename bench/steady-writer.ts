import { type Connection } from 'mysql2/promise';
import { sleep } from '#kernel';
import { clockMs, formatClock } from './arrivals.ts';
import { connectWriter, insertStatement } from './workload.ts';

const CONNECTION_COUNT = 4;

/** The rows of a transaction, and the `placed_at` of them all. */
export interface Committed {
  readonly first: number;
  readonly count: number;
  readonly placedAt: string;
}

export interface SteadyLoad {
  readonly database: string;
  readonly ratePerSecond: number;
  readonly rowsPerTransaction: number;
  /** The ids 1 to this number are written. */
  readonly rows: number;
  /** Told of each transaction once it is committed. */
  readonly onCommitted?: (committed: Committed) => void;
}

/**
 * Writes rows at fixed moments, whatever the server takes for each: a transaction that is late doesn't delay the plan
 * of the next. `placed_at` of a row is the client's clock just before its transaction, one INSERT that commits by
 * itself, is sent. Returns by how much each transaction was sent later than planned, in milliseconds.
 */
export async function writeSteadily(url: string, load: SteadyLoad, signal: AbortSignal): Promise<readonly number[]> {
  const connections = await Promise.all(Array.from({ length: CONNECTION_COUNT }, () => connectWriter(url)));
  try {
    await Promise.all(connections.map((connection) => connection.query("SET time_zone = '+00:00'")));
    return await writePlanned(connections, load, signal);
  } finally {
    for (const connection of connections) connection.destroy();
  }
}

async function writePlanned(
  connections: readonly Connection[],
  { database, ratePerSecond, rowsPerTransaction, rows, onCommitted }: SteadyLoad,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const latenessMs: number[] = [];
  const everyMs = (rowsPerTransaction * 1000) / ratePerSecond;
  const transactions = Math.ceil(rows / rowsPerTransaction);
  const beganMs = clockMs();
  const writeEach = async (connection: Connection, offset: number): Promise<void> => {
    for (let number = offset; number < transactions; number += connections.length) {
      const plannedMs = beganMs + number * everyMs;
      // timers fire up to a millisecond late and never early
      const waitMs = plannedMs - clockMs();
      if (waitMs > 0) await sleep(waitMs, signal);
      signal.throwIfAborted();
      const first = number * rowsPerTransaction + 1;
      const sentMs = clockMs();
      latenessMs.push(sentMs - plannedMs);
      const count = Math.min(rowsPerTransaction, rows - first + 1);
      const placedAt = formatClock(sentMs);
      await connection.query(insertStatement(database, first, count, placedAt));
      onCommitted?.({ first, count, placedAt });
    }
  };
  await Promise.all(connections.map(writeEach));
  return latenessMs;
}
