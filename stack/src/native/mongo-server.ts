import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import type { ProcessIdentity } from '../process-identity.ts';
import type { Durability, Endpoint } from '../stack.ts';
import type { DebianRuntime } from './debian-runtime.ts';
import {
  giveToPostgresUser,
  isPostgresReady,
  POSTGRES_ADMINISTRATOR,
  postgresCommand,
  runSql,
} from './postgres-program.ts';
import type { Runtimes } from './runtimes.ts';
import { NativeServer, type ServerOptions } from './server.ts';

export interface MongoServerOptions extends ServerOptions {
  readonly runtimes: () => Promise<Runtimes>;
  readonly port: number;
  readonly postgresPort: number;
  readonly password: string;
  readonly durability: Durability;
}

/** FerretDB, which speaks MongoDB's protocol, on PostgreSQL with the DocumentDB extension: killed, frozen and started as one. */
export class MongoServer extends NativeServer {
  readonly endpoint: Endpoint;
  readonly #options: MongoServerOptions;

  constructor(options: MongoServerOptions) {
    super(options);
    this.#options = options;
    this.endpoint = { host: '127.0.0.1', port: options.port, user: POSTGRES_ADMINISTRATOR, password: options.password };
  }

  protected override async launch(): Promise<void> {
    const runtimes = await this.#options.runtimes();
    const data = join(this.folder, 'postgres');
    if (!existsSync(data)) await copyCluster(runtimes.postgresTemplate(), data);
    const sockets = this.#socketFolder();
    // a killed server leaves it, and its pid may by now be somebody else's, whom PostgreSQL would take for itself
    rmSync(join(data, 'postmaster.pid'), { force: true });
    writeFileSync(join(data, 'stack.conf'), this.#formatSettings(sockets));
    const postgres = this.spawn('postgres', postgresCommand(runtimes.debian(), 'postgres', ['-D', data]));
    await this.waitUntil('postgres', postgres, () => isPostgresReady(data, postgres.identity.pid));
    await this.#setPassword(runtimes.debian(), sockets);
    const state = join(this.folder, 'ferretdb');
    mkdirSync(state, { recursive: true });
    const ferretDb = this.spawn('ferretdb', {
      command: runtimes.ferretDb(),
      args: [
        `--listen-addr=127.0.0.1:${this.#options.port}`,
        '--debug-addr=-',
        `--state-dir=${state}`,
        '--telemetry=disable',
        '--auth',
        '--log-level=ERROR',
      ],
      environment: {
        ...process.env,
        DO_NOT_TRACK: '1',
        FERRETDB_POSTGRESQL_URL: `postgres://${POSTGRES_ADMINISTRATOR}:${this.#options.password}@127.0.0.1:${this.#options.postgresPort}/postgres?pool_max_conns=20`,
      },
    });
    await this.waitUntil('ferretdb', ferretDb, () => acceptsConnections(this.#options.port));
  }

  protected override async requestStop(processes: Readonly<Record<string, ProcessIdentity>>): Promise<void> {
    await this.endProcess(processes['ferretdb'], 'SIGTERM');
    await this.endProcess(processes['postgres'], 'SIGINT');
  }

  /** In the server's folder, or in a short one when the path of a socket (107 bytes at most) wouldn't fit. */
  #socketFolder(): string {
    const own = join(this.folder, 'run');
    const recorded = join(this.folder, 'socket-folder');
    const folder = existsSync(recorded)
      ? readFileSync(recorded, 'utf8')
      : own.length < 85
        ? own
        : mkdtempSync(join(tmpdir(), 'ditto-'));
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    giveToPostgresUser(folder);
    writeFileSync(recorded, folder);
    return folder;
  }

  /** Removes what lies outside the server's folder. */
  removeSocketFolder(): void {
    const recorded = join(this.folder, 'socket-folder');
    if (existsSync(recorded)) rmSync(readFileSync(recorded, 'utf8'), { recursive: true, force: true });
  }

  #formatSettings(sockets: string): string {
    // a write that a killed server acknowledged is in the kernel's cache either way; fsync is for power cuts
    const durable = this.#options.durability === 'crash-safe' ? 'on' : 'off';
    return [
      `port = ${this.#options.postgresPort}`,
      `unix_socket_directories = '${sockets}'`,
      // the extension connects back to itself to create collections
      `documentdb.localhost_connection_string = 'host=${sockets}'`,
      `fsync = ${durable}`,
      // on in any case: without page images the extension's indexes are damaged when the server is killed
      'full_page_writes = on',
      '',
    ].join('\n');
  }

  async #setPassword(runtime: DebianRuntime, sockets: string): Promise<void> {
    const marker = join(this.folder, 'initialised');
    if (existsSync(marker)) return;
    await runSql(
      runtime,
      sockets,
      this.#options.postgresPort,
      `ALTER ROLE ${POSTGRES_ADMINISTRATOR} PASSWORD '${this.#options.password}'`,
    );
    writeFileSync(marker, '');
  }
}

function acceptsConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => finish(true));
    socket.once('error', () => finish(false));
  });
}

async function copyCluster(template: string, data: string): Promise<void> {
  const fresh = `${data}.new`;
  rmSync(fresh, { recursive: true, force: true });
  await runCommand('cp', ['-a', '--reflink=auto', template, fresh]);
  renameSync(fresh, data);
}
