import { type Socket } from 'node:net';
import { type Connection } from 'mysql2';

export interface RowsBound {
  /** What the rows may take in memory. A packet of the network more may come. */
  readonly bytes: number;
  /** What a row takes in addition to the bytes that the server sends for it. */
  readonly overheadBytes: number;
}

export interface BoundedRows {
  readonly rows: unknown[][];
  /** What they take in memory, and what of the next one had come. */
  readonly bytes: number;
  /** Whether the bound ended the reading, most likely in the middle of the next row. */
  readonly isCut: boolean;
}

/**
 * Runs a query and takes its rows until they reach the bound; counted is what comes from the network, so that the bound
 * holds while a row is being received too. A connection whose result was cut is paused in the middle of it, and of no
 * more use.
 */
export function receiveRows(driver: Connection, socket: Socket, sql: string, bound: RowsBound): Promise<BoundedRows> {
  const { promise, resolve, reject } = Promise.withResolvers<BoundedRows>();
  const rows: unknown[][] = [];
  let received = 0;
  let isEnded = false;
  const bytes = (): number => received + rows.length * bound.overheadBytes;
  // the driver's own listener was there first: what is complete by now is among the rows
  const count = (data: Buffer): void => {
    received += data.length;
    if (isEnded || bytes() <= bound.bytes) return;
    socket.off('data', count);
    socket.pause();
    resolve({ rows, bytes: bytes(), isCut: true });
  };
  socket.on('data', count);
  driver
    .query({ sql, rowsAsArray: true })
    .on('result', (row) => rows.push(row as unknown as unknown[]))
    .on('error', reject)
    .on('end', () => {
      isEnded = true;
      socket.off('data', count);
      resolve({ rows, bytes: bytes(), isCut: false });
    });
  return promise;
}
