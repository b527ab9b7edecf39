import { connect } from 'node:net';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessIdentity } from '../process-identity.ts';
import type { Durability, Endpoint } from '../stack.ts';
import type { Runtimes } from './runtimes.ts';
import { NativeServer, type ServerOptions } from './server.ts';

export interface RedisServerOptions extends ServerOptions {
  readonly runtimes: () => Promise<Runtimes>;
  readonly port: number;
  readonly durability: Durability;
}

/**
 * Redis with an append-only file; each write is in it before it is acknowledged, so SIGKILL loses none. What is not set
 * here may be set in `more.cnf` in its folder: by a test with a server of its own.
 */
export class RedisServer extends NativeServer {
  readonly endpoint: Endpoint;
  readonly #options: RedisServerOptions;

  constructor(options: RedisServerOptions) {
    super(options);
    this.#options = options;
    this.endpoint = { host: '127.0.0.1', port: options.port, user: null, password: null };
  }

  protected override async launch(): Promise<void> {
    const { port, durability } = this.#options;
    const runtime = (await this.#options.runtimes()).debian();
    const data = join(this.folder, 'data');
    mkdirSync(data, { recursive: true });
    const settings = {
      port,
      bind: '127.0.0.1',
      dir: data,
      appendonly: 'yes',
      appendfsync: durability === 'fast' ? 'no' : 'everysec',
      save: '',
      'maxmemory-policy': 'noeviction',
    };
    const more = join(this.folder, 'more.cnf');
    const [command, args] = runtime.command('usr/bin/redis-server', [
      ...(existsSync(more) ? [more] : []),
      ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]),
    ]);
    const process = this.spawn('redis', { command, args, folder: data });
    await this.waitUntil('redis', process, () => ping(port));
  }

  protected override async requestStop(processes: Readonly<Record<string, ProcessIdentity>>): Promise<void> {
    await this.endProcess(processes['redis'], 'SIGTERM');
  }
}

/** False while the server is absent or still loading its file. */
function ping(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    const finish = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
    socket.on('data', (data) => finish(data.toString('latin1').startsWith('+PONG')));
  });
}
