import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  isAlive,
  killTree,
  type ProcessIdentity,
  signalProcess,
  signalTree,
  waitForExit,
} from '../process-identity.ts';
import type { Endpoint } from '../stack.ts';
import { type ProcessOptions, type StartedProcess, startProcess, waitUntilReady } from './managed-process.ts';

export interface ServerOptions {
  /** Folder of this one server. */
  readonly folder: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * One server run by this machine. Its processes are recorded in its folder as soon as they exist, so that any later
 * process can take over.
 */
export abstract class NativeServer {
  readonly folder: string;
  readonly #signal: AbortSignal | undefined;

  protected constructor({ folder, signal }: ServerOptions) {
    this.folder = folder;
    this.#signal = signal;
  }

  abstract readonly endpoint: Endpoint;

  /** Makes the data folder where there is none, starts the processes and waits until the server answers. */
  protected abstract launch(): Promise<void>;
  /** Asks the processes to end, and waits for it. */
  protected abstract requestStop(processes: Readonly<Record<string, ProcessIdentity>>): Promise<void>;

  async start(): Promise<void> {
    if (this.isRunning()) return;
    await this.kill();
    mkdirSync(this.folder, { recursive: true });
    await this.launch();
  }

  async stop(): Promise<void> {
    this.thaw();
    await this.requestStop(this.#readProcesses());
    await this.kill();
  }

  async kill(): Promise<void> {
    await Promise.all(Object.values(this.#readProcesses()).map(killTree));
    this.#writeProcesses({});
  }

  freeze(): void {
    for (const root of Object.values(this.#readProcesses())) signalTree(root, 'SIGSTOP');
  }

  thaw(): void {
    for (const root of Object.values(this.#readProcesses())) signalTree(root, 'SIGCONT');
  }

  /** Whether every process of the server lives; says nothing about whether it answers. */
  isRunning(): boolean {
    const processes = Object.values(this.#readProcesses());
    return processes.length > 0 && processes.every(isAlive);
  }

  protected logFile(role: string): string {
    return join(this.folder, `${role}.log`);
  }

  /** Starts one process and records it under its role. */
  protected spawn(role: string, options: Omit<ProcessOptions, 'logFile'>): StartedProcess {
    const started = startProcess({ ...options, logFile: this.logFile(role) });
    this.#writeProcesses({ ...this.#readProcesses(), [role]: started.identity });
    return started;
  }

  protected async waitUntil(
    role: string,
    process: StartedProcess,
    probe: () => Promise<boolean> | boolean,
    timeoutMs = 90_000,
  ): Promise<void> {
    await waitUntilReady({ what: role, process, logFile: this.logFile(role), timeoutMs, signal: this.#signal, probe });
  }

  protected async endProcess(process: ProcessIdentity | undefined, signal: NodeJS.Signals): Promise<void> {
    if (process === undefined || !signalProcess(process, signal)) return;
    await waitForExit([process], 60_000);
  }

  #readProcesses(): Record<string, ProcessIdentity> {
    const file = this.#processFile();
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, ProcessIdentity>) : {};
  }

  #writeProcesses(processes: Readonly<Record<string, ProcessIdentity>>): void {
    if (!existsSync(this.folder)) return;
    writeFileSync(`${this.#processFile()}.new`, JSON.stringify(processes));
    renameSync(`${this.#processFile()}.new`, this.#processFile());
  }

  #processFile(): string {
    return join(this.folder, 'processes.json');
  }
}
