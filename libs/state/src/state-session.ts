import { type Socket } from 'node:net';
import { createPool, type PoolConnection, type PoolOptions } from 'mysql2';

export interface StateSessionOptions {
  /** Whether statements outside of `START TRANSACTION READ WRITE` may only read. */
  readonly readsOnly: boolean;
  /** A session that says nothing for so long is ended by the server, and its transaction rolled back. */
  readonly idleMs: number;
  /** Must be below the time that its client waits. */
  readonly lockWaitMs: number;
}

/** For TypeORM: the driver with pools whose connections have begun with these statements before they are used. */
export function createSessionDriver(options: StateSessionOptions): { readonly createPool: typeof createPool } {
  const statements = listStatements(options);
  return {
    createPool: (poolOptions: PoolOptions) => {
      const pool = createPool(poolOptions);
      pool.on('connection', (connection) => {
        // an error without a query under way has nobody to hear it; the next query gets it again
        connection.on('error', () => undefined);
        for (const statement of statements)
          connection.query(statement, (error) => {
            if (error) dropConnection(connection);
          });
      });
      return pool;
    },
  } as { createPool: typeof createPool };
}

/** At once: an orderly end would wait for what a silent server says, and the work with it. */
export function dropConnection(connection: PoolConnection): void {
  connection.destroy();
  (connection as unknown as { readonly stream: Socket }).stream.destroy(new Error('The connection was given up'));
}

/** Nothing that results depend on is left to the server's settings. */
function listStatements({ readsOnly, idleMs, lockWaitMs }: StateSessionOptions): readonly string[] {
  return [
    `SET SESSION autocommit = 1, sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00',
       sql_select_limit = 18446744073709551615, sql_big_selects = 1, wait_timeout = ${inSeconds(idleMs)},
       innodb_lock_wait_timeout = ${inSeconds(lockWaitMs)}
       /*!80000 , max_execution_time = 0 */ /*M!100101 , max_statement_time = 0 */`,
    'SET NAMES utf8mb4',
    `SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, ${readsOnly ? 'READ ONLY' : 'READ WRITE'}`,
  ];
}

function inSeconds(ms: number): number {
  return Math.max(1, Math.round(ms / 1000));
}
