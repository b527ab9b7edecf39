import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { setTimeout as sleep } from 'node:timers/promises';
import { DittoError } from '#kernel';
import { runCommand } from '../command.ts';
import type { ProcessIdentity } from '../process-identity.ts';
import type { Durability, Endpoint } from '../stack.ts';
import type { Runtimes } from './runtimes.ts';
import { NativeServer, type ServerOptions } from './server.ts';

export interface MySqlSettings {
  readonly port: number;
  readonly serverId: number;
  readonly durability: Durability;
  /** The state database needs none. */
  readonly binaryLog: boolean;
}

export interface MySqlServerOptions extends ServerOptions, MySqlSettings {
  readonly runtimes: () => Promise<Runtimes>;
  readonly password: string;
}

const ADMINISTRATOR = 'ditto';

/**
 * MySQL with GTIDs and a full row log. `root` has no password but is reachable through the socket in the data folder
 * only (`skip-name-resolve`: no TCP client is `localhost`).
 */
export class MySqlServer extends NativeServer {
  readonly endpoint: Endpoint;
  readonly #options: MySqlServerOptions;

  constructor(options: MySqlServerOptions) {
    super(options);
    this.#options = options;
    this.endpoint = { host: '127.0.0.1', port: options.port, user: ADMINISTRATOR, password: options.password };
  }

  connect(): Promise<Connection> {
    const { host, port } = this.endpoint;
    return createConnection({
      host,
      port,
      user: ADMINISTRATOR,
      password: this.#options.password,
      connectTimeout: 5_000,
    });
  }

  protected override async launch(): Promise<void> {
    const runtimes = await this.#options.runtimes();
    const runtime = runtimes.debian();
    const data = join(this.folder, 'data');
    if (!existsSync(data)) await copyTemplate(runtimes.mySqlTemplate(), data);
    mkdirSync(join(this.folder, 'tmp'), { recursive: true });
    const settings = join(this.folder, 'my.cnf');
    const firstStart = join(this.folder, 'first-start.sql');
    writeFileSync(settings, formatMySqlSettings(this.#options, runtime.root, this.folder), { mode: 0o600 });
    writeFileSync(firstStart, formatFirstStart(this.#options.password), { mode: 0o600 });
    const initialised = join(this.folder, 'initialised');
    // a killed server leaves it, and its pid may by now be somebody else's, whom MySQL would take for itself
    rmSync(join(data, 'mysqld.sock.lock'), { force: true });
    const args = [`--defaults-file=${settings}`, ...(existsSync(initialised) ? [] : [`--init-file=${firstStart}`])];
    const [command, all] = runtime.command('usr/sbin/mysqld', args);
    const process = this.spawn('mysql', {
      command,
      args: all,
      environment: { ...globalThis.process.env, TZ: 'UTC', LC_ALL: 'C' },
    });
    await this.waitUntil('mysql', process, () => this.#answers());
    writeFileSync(initialised, '');
    rmSync(firstStart);
  }

  protected override async requestStop(processes: Readonly<Record<string, ProcessIdentity>>): Promise<void> {
    await this.endProcess(processes['mysql'], 'SIGTERM');
  }

  async #answers(): Promise<boolean> {
    try {
      const connection = await this.connect();
      await connection.query('SELECT 1');
      connection.destroy();
      return true;
    } catch {
      return false; // not up yet; `waitUntil` ends the waiting and shows the log
    }
  }
}

/** Makes `replica` follow `primary` by GTID auto-position, read-only for everybody. Does nothing when it does so already. */
export async function attachReplica(replica: MySqlServer, primary: MySqlServer, signal?: AbortSignal): Promise<void> {
  const marker = join(replica.folder, 'replicating');
  if (existsSync(marker)) return;
  const connection = await replica.connect();
  try {
    const { port, password } = primary.endpoint;
    await connection.query(
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${port}, SOURCE_USER='replicator', SOURCE_PASSWORD='${password ?? ''}',
       SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1, SOURCE_RETRY_COUNT=86400`,
    );
    await connection.query('START REPLICA');
    await connection.query('SET PERSIST super_read_only = ON');
    await waitForReplication(connection, signal);
    writeFileSync(marker, '');
  } finally {
    connection.destroy();
  }
}

async function waitForReplication(connection: Connection, signal?: AbortSignal): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    signal?.throwIfAborted();
    const [[status]] = await connection.query<RowDataPacket[]>('SHOW REPLICA STATUS');
    if (status?.['Replica_IO_Running'] === 'Yes' && status['Replica_SQL_Running'] === 'Yes') return;
    if (performance.now() > deadline)
      throw new DittoError(
        'DITTO_STACK_REPLICA_FAILED',
        `The replica doesn't follow: ${String(status?.['Last_IO_Error'])} ${String(status?.['Last_SQL_Error'])}`,
      );
    await sleep(50);
  }
}

/** Small in memory; what Ditto needs of a source is on. */
export function formatMySqlSettings(options: MySqlSettings, runtime: string, folder: string): string {
  const share = join(runtime, 'usr/share/mysql');
  const settings: Record<string, string | number> = {
    ...(process.getuid?.() === 0 ? { user: 'root' } : {}),
    basedir: join(runtime, 'usr'),
    'lc-messages-dir': share,
    'character-sets-dir': join(share, 'charsets'),
    'plugin-dir': join(runtime, 'usr/lib/mysql/plugin'),
    datadir: join(folder, 'data'),
    tmpdir: join(folder, 'tmp'),
    // relative to the data folder: the path of a socket is limited to 107 bytes
    socket: 'mysqld.sock',
    'pid-file': 'mysqld.pid',
    'log-error': join(folder, 'mysql.log'),
    'bind-address': '127.0.0.1',
    port: options.port,
    'server-id': options.serverId,
    mysqlx: 'OFF',
    'skip-name-resolve': 'ON',
    'secure-file-priv': 'NULL',
    'default-time-zone': '+00:00',
    'performance-schema': 'OFF',
    'innodb-buffer-pool-size': '64M',
    'innodb-redo-log-capacity': '64M',
    'innodb-log-buffer-size': '4M',
    'innodb-adaptive-hash-index': 'OFF',
    'max-connections': 200,
    'table-open-cache': 400,
    'table-definition-cache': 400,
    'key-buffer-size': '1M',
    'tmp-table-size': '4M',
    'max-heap-table-size': '4M',
    'thread-cache-size': 8,
    ...(options.durability === 'fast'
      ? { 'sync-binlog': 0, 'innodb-flush-log-at-trx-commit': 2, 'innodb-doublewrite': 'OFF' }
      : { 'sync-binlog': 1, 'innodb-flush-log-at-trx-commit': 1 }),
    ...(options.binaryLog ? binaryLogSettings : { 'disable-log-bin': 'ON' }),
  };
  return formatSettings('mysqld', settings, folder);
}

/** An option file. `more.cnf` in the folder of the server, from a test with a server of its own, overrides it. */
export function formatSettings(group: string, settings: Readonly<Record<string, unknown>>, folder: string): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${String(value)}\n`);
  const more = join(folder, 'more.cnf');
  return `[${group}]\n${lines.join('')}${existsSync(more) ? `!include ${more}\n` : ''}`;
}

const binaryLogSettings = {
  'log-bin': 'binlog',
  'gtid-mode': 'ON',
  'enforce-gtid-consistency': 'ON',
  'log-replica-updates': 'ON',
  'binlog-row-image': 'FULL',
  'binlog-row-metadata': 'FULL',
  'relay-log': 'relay',
  'relay-log-recovery': 'ON',
};

/** One statement a line, as `init-file` wants it; not logged, or a replica would have transactions of its own. */
function formatFirstStart(password: string): string {
  return [
    'SET sql_log_bin = 0;',
    `CREATE USER IF NOT EXISTS '${ADMINISTRATOR}'@'%' IDENTIFIED BY '${password}';`,
    `GRANT ALL ON *.* TO '${ADMINISTRATOR}'@'%' WITH GRANT OPTION;`,
    `CREATE USER IF NOT EXISTS 'replicator'@'%' IDENTIFIED BY '${password}';`,
    `GRANT REPLICATION SLAVE ON *.* TO 'replicator'@'%';`,
    '',
  ].join('\n');
}

export async function copyTemplate(template: string, data: string): Promise<void> {
  const fresh = `${data}.new`;
  rmSync(fresh, { recursive: true, force: true });
  await runCommand('cp', ['-a', '--reflink=auto', template, fresh]);
  renameSync(fresh, data);
}
