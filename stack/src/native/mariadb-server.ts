import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import type { ProcessIdentity } from '../process-identity.ts';
import type { Durability, Endpoint } from '../stack.ts';
import { copyTemplate, formatSettings } from './mysql-server.ts';
import type { Runtimes } from './runtimes.ts';
import { NativeServer, type ServerOptions } from './server.ts';

export interface MariaDbServerOptions extends ServerOptions {
  readonly runtimes: () => Promise<Runtimes>;
  readonly port: number;
  readonly serverId: number;
  readonly durability: Durability;
  readonly password: string;
}

const ADMINISTRATOR = 'ditto';

/** MariaDB with GTIDs in strict mode and a full row log. */
export class MariaDbServer extends NativeServer {
  readonly endpoint: Endpoint;
  readonly #options: MariaDbServerOptions;

  constructor(options: MariaDbServerOptions) {
    super(options);
    this.#options = options;
    this.endpoint = { host: '127.0.0.1', port: options.port, user: ADMINISTRATOR, password: options.password };
  }

  protected override async launch(): Promise<void> {
    const runtimes = await this.#options.runtimes();
    const runtime = runtimes.mariaDb();
    const data = join(this.folder, 'data');
    if (!existsSync(data)) await copyTemplate(runtimes.mariaDbTemplate(), data);
    mkdirSync(join(this.folder, 'tmp'), { recursive: true });
    const settings = join(this.folder, 'my.cnf');
    const firstStart = join(this.folder, 'first-start.sql');
    writeFileSync(settings, formatMariaDbSettings(this.#options, runtime.root, this.folder), { mode: 0o600 });
    writeFileSync(firstStart, formatFirstStart(this.#options.password), { mode: 0o600 });
    const initialised = join(this.folder, 'initialised');
    const args = [`--defaults-file=${settings}`, ...(existsSync(initialised) ? [] : [`--init-file=${firstStart}`])];
    const [command, all] = runtime.command('usr/sbin/mariadbd', args);
    const process = this.spawn('mariadb', {
      command,
      args: all,
      environment: { ...globalThis.process.env, TZ: 'UTC', LC_ALL: 'C' },
    });
    await this.waitUntil('mariadb', process, () => this.#answers());
    writeFileSync(initialised, '');
    rmSync(firstStart);
  }

  protected override async requestStop(processes: Readonly<Record<string, ProcessIdentity>>): Promise<void> {
    await this.endProcess(processes['mariadb'], 'SIGTERM');
  }

  async #answers(): Promise<boolean> {
    const { host, port } = this.endpoint;
    const { password } = this.#options;
    try {
      const connection = await createConnection({ host, port, user: ADMINISTRATOR, password, connectTimeout: 5_000 });
      await connection.query('SELECT 1');
      connection.destroy();
      return true;
    } catch {
      return false; // not up yet; `waitUntil` ends the waiting and shows the log
    }
  }
}

function formatMariaDbSettings(options: MariaDbServerOptions, runtime: string, folder: string): string {
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
    socket: 'mariadbd.sock',
    'pid-file': 'mariadbd.pid',
    'log-error': join(folder, 'mariadb.log'),
    'bind-address': '127.0.0.1',
    port: options.port,
    'server-id': options.serverId,
    'gtid-domain-id': 0,
    'gtid-strict-mode': 'ON',
    'log-bin': 'binlog',
    'binlog-format': 'ROW',
    'binlog-row-image': 'FULL',
    'binlog-row-metadata': 'FULL',
    'log-slave-updates': 'ON',
    'relay-log': 'relay',
    'skip-name-resolve': 'ON',
    'default-time-zone': '+00:00',
    'performance-schema': 'OFF',
    'innodb-buffer-pool-size': '64M',
    'innodb-log-file-size': '64M',
    'innodb-log-buffer-size': '4M',
    'max-connections': 200,
    'table-open-cache': 400,
    'table-definition-cache': 400,
    'key-buffer-size': '1M',
    'aria-pagecache-buffer-size': '8M',
    'max-allowed-packet': '64M',
    ...(options.durability === 'fast'
      ? { 'sync-binlog': 0, 'innodb-flush-log-at-trx-commit': 2, 'innodb-doublewrite': 'OFF' }
      : { 'sync-binlog': 1, 'innodb-flush-log-at-trx-commit': 1 }),
  };
  return formatSettings('mariadbd', settings, folder);
}

/** One statement a line, as `init-file` wants it; not logged. */
function formatFirstStart(password: string): string {
  return [
    'SET sql_log_bin = 0;',
    `CREATE USER IF NOT EXISTS '${ADMINISTRATOR}'@'%' IDENTIFIED BY '${password}';`,
    `GRANT ALL ON *.* TO '${ADMINISTRATOR}'@'%' WITH GRANT OPTION;`,
    '',
  ].join('\n');
}
