import type { Connection } from 'mysql2/promise';

/** Has a replica accept writes, as the usual failover tools do. The connection takes several statements at once. */
export async function promote(replica: Connection): Promise<void> {
  await replica.query(
    'STOP REPLICA; RESET REPLICA ALL; SET PERSIST super_read_only = OFF; SET PERSIST read_only = OFF',
  );
}

/** Has a server follow another one by GTIDs, read-only. The connection takes several statements at once. */
export async function follow(
  server: Connection,
  source: {
    readonly host: string;
    readonly port: number;
    readonly user: string | null;
    readonly password: string | null;
  },
): Promise<void> {
  await server.query(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,
       SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1;
     START REPLICA; SET PERSIST super_read_only = ON`,
    [source.host, source.port, source.user, source.password],
  );
}
