import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ProcessIdentity } from '../process-identity.ts';
import type { Endpoint } from '../stack.ts';
import { askBrokers } from './kafka-probe.ts';
import { formatKafkaProperties, REGISTRATION_MS } from './kafka-properties.ts';
import type { Runtimes } from './runtimes.ts';
import { NativeServer, type ServerOptions } from './server.ts';

export interface KafkaBrokerOptions extends ServerOptions {
  readonly runtimes: () => Promise<Runtimes>;
  readonly nodeId: number;
  readonly port: number;
  readonly controllerPorts: readonly number[];
  readonly manyPartitions: boolean;
  /** 16 bytes in URL-safe base64, the same for all brokers of the stack. */
  readonly clusterId: string;
}

/** One node, broker and controller, of a KRaft cluster. Of three nodes, two must run for any to become ready. */
export class KafkaBroker extends NativeServer {
  readonly endpoint: Endpoint;
  readonly #options: KafkaBrokerOptions;

  constructor(options: KafkaBrokerOptions) {
    super(options);
    this.#options = options;
    this.endpoint = { host: '127.0.0.1', port: options.port, user: null, password: null };
  }

  protected override async launch(): Promise<void> {
    const { port, nodeId, manyPartitions } = this.#options;
    const runtime = (await this.#options.runtimes()).kafka();
    this.#formatStorage(runtime.bootstrapCheckpoint);
    const properties = join(this.folder, 'server.properties');
    // compression libraries unpack themselves there, and a killed broker leaves them
    const temporary = join(this.folder, 'tmp');
    rmSync(temporary, { recursive: true, force: true });
    mkdirSync(temporary);
    writeFileSync(properties, formatKafkaProperties({ ...this.#options, folder: this.folder }, this.#readMore()));
    const process = this.spawn('kafka', {
      command: 'java',
      args: runtime.javaArguments(
        'kafka.Kafka',
        [properties],
        [`-Djava.io.tmpdir=${temporary}`, ...(manyPartitions ? ['-Xmx1g'] : [])],
      ),
      folder: this.folder,
    });
    const withinMs = manyPartitions ? REGISTRATION_MS : 120_000;
    await this.waitUntil('kafka', process, async () => (await askBrokers(port)).includes(nodeId), withinMs);
  }

  protected override async requestStop(processes: Readonly<Record<string, ProcessIdentity>>): Promise<void> {
    await this.endProcess(processes['kafka'], 'SIGTERM');
  }

  /** `more.properties` in the folder of the broker, from a test with a broker of its own. */
  #readMore(): string {
    const more = join(this.folder, 'more.properties');
    return existsSync(more) ? readFileSync(more, 'utf8') : '';
  }

  /** What `StorageTool format` writes; nodes of a cluster with static voters differ in `meta.properties` only. */
  #formatStorage(bootstrapCheckpoint: string): void {
    const data = join(this.folder, 'data');
    if (existsSync(data)) return;
    const fresh = `${data}.new`;
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { recursive: true });
    copyFileSync(bootstrapCheckpoint, join(fresh, 'bootstrap.checkpoint'));
    writeFileSync(
      join(fresh, 'meta.properties'),
      `version=1\ncluster.id=${this.#options.clusterId}\nnode.id=${this.#options.nodeId}\n`,
    );
    renameSync(fresh, data);
  }
}
