import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findCacheFolder, type Stack, startStack } from '#stack';
import { createReader, createState, withMySql } from './access.ts';
import { findPorts, writeConfiguration } from './configuration.ts';
import { removeTraces } from './given-servers.ts';
import { buildServices } from './service-build.ts';
import { ServiceProcess } from './service-process.ts';

const READY_WITHIN_MS = 90_000;

/** Servers and services for the self-test, where no deployment is configured. */
export class OwnDeployment {
  readonly configuration: string;
  readonly #stack: Stack;
  readonly #services: readonly ServiceProcess[];
  readonly #folder: string;
  readonly #clean: () => Promise<void>;

  private constructor(
    configuration: string,
    stack: Stack,
    services: readonly ServiceProcess[],
    folder: string,
    clean: () => Promise<void>,
  ) {
    this.configuration = configuration;
    this.#stack = stack;
    this.#services = services;
    this.#folder = folder;
    this.#clean = clean;
  }

  static async start(
    runId: string,
    schema: string,
    say: (text: string) => void,
    signal: AbortSignal,
  ): Promise<OwnDeployment> {
    const folder = join(findCacheFolder(process.env), 'selftest', runId);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    say('No deployment is configured: starting servers and services of its own …');
    await buildServices(say, signal);
    const servers = ['mysql-primary', 'mysql-state', 'kafka', 'mongo', 'redis'] as const;
    const stack = await startStack({ folder: join(folder, 'stack'), servers: [...servers], onProgress: say, signal });
    const services: ServiceProcess[] = [];
    const source = `selftest_${runId}`;
    const names = { source, mirror: source, databases: [], reader: `${source}_reader`, state: `${source}_state` };
    const clean = async (): Promise<void> => (stack.kind === 'given' ? removeTraces(stack, names) : undefined);
    try {
      const reader = await withMySql(stack.url('mysql-primary'), async (connection) => {
        const quoted = `\`${schema.replaceAll('`', '``')}\``;
        await connection.query(`CREATE DATABASE IF NOT EXISTS ${quoted}`);
        const login = await createReader(connection, names.reader, [schema]);
        await connection.query(`GRANT CREATE, DROP, INSERT, UPDATE ON ${quoted}.* TO '${login.user}'@'%'`);
        return login;
      });
      const state = await withMySql(stack.url('mysql-state'), (connection) =>
        createState(connection, names.state, names.state),
      );
      const ports = await findPorts();
      const facts = { folder, source, databases: [schema], stack, reader, state, ports };
      const configuration = writeConfiguration(facts);
      for (const name of ['dcs', 'dws', 'dss'] as const)
        services.push(new ServiceProcess({ name, port: ports[name], folder, configuration }));
      await Promise.all(services.map((service) => service.waitUntilReady(READY_WITHIN_MS, signal)));
      say('The servers and services are ready.');
      return new OwnDeployment(configuration, stack, services, folder, clean);
    } catch (error) {
      await Promise.all(services.map((service) => service.stop()));
      await clean();
      await stack.down();
      throw error;
    }
  }

  /** Ends all that was started. */
  async stop(): Promise<void> {
    await Promise.all(this.#services.map((service) => service.stop()));
    await this.#clean();
    await this.#stack.down();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
