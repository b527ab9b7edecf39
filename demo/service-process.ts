import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DittoError } from '#kernel';
import { allocatorSettings } from './process-settings.ts';

export type ServiceName = 'dcs' | 'dss' | 'dws';

const root = join(import.meta.dirname, '..');
const STOP_WITHIN_MS = 20_000;
const ASK_EVERY_MS = 20;

/** One of the three services as a process of its own. */
export class ServiceProcess {
  readonly name: ServiceName;
  readonly url: string;
  readonly log: string;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  readonly #child: ChildProcess;

  constructor(options: {
    readonly name: ServiceName;
    readonly port: number;
    readonly folder: string;
    readonly configuration: string;
    /** Options of Node itself, before the entry. */
    readonly nodeArguments?: readonly string[];
    /** Settings that differ from the configuration. */
    readonly environment?: Readonly<Record<string, string>>;
    /** Name of the log without its ending; the service's by default. */
    readonly log?: string;
    /** Whether it ends with whoever has started it, by Ctrl-C too; by default only `stop` and `kill` end it. */
    readonly isAttached?: boolean;
  }) {
    this.name = options.name;
    this.url = `http://127.0.0.1:${options.port}`;
    this.log = join(options.folder, `${options.log ?? options.name}.log`);
    const log = openSync(this.log, 'a');
    const entry = join(root, 'dist', `${options.name}.mjs`);
    this.#child = spawn(process.execPath, [...(options.nodeArguments ?? []), entry], {
      cwd: root,
      env: { ...process.env, ...allocatorSettings, ...options.environment, DITTO_CONFIG: options.configuration },
      stdio: ['ignore', log, log],
      detached: options.isAttached !== true,
    });
    closeSync(log);
    if (options.isAttached !== true) this.#child.unref();
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve(signal ?? code ?? -1)).once('error', () => resolve(-1));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Throws `DITTO_DEMO_SERVICE_ENDED` with the end of the log when the process is gone. */
  assertRunning(): void {
    if (this.isRunning) return;
    const { exitCode, signalCode } = this.#child;
    const how = signalCode === null ? `with code ${exitCode ?? 'unknown'}` : `by ${signalCode}`;
    throw new DittoError('DITTO_DEMO_SERVICE_ENDED', `${this.name.toUpperCase()} ended ${how}.`, {
      context: { log: this.log },
    });
  }

  async waitUntilReady(withinMs: number, signal: AbortSignal): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!(await this.#isReady(signal))) {
      this.assertRunning();
      if (performance.now() > deadline)
        throw new DittoError(
          'DITTO_DEMO_SERVICE_NOT_READY',
          `${this.name.toUpperCase()} was not ready after ${withinMs / 1000} s.`,
          {
            context: { log: this.log },
          },
        );
      await sleep(ASK_EVERY_MS, undefined, { signal });
    }
  }

  /** SIGTERM, and SIGKILL when that was not enough; resolves when the process is gone. */
  async stop(): Promise<void> {
    if (!this.isRunning) return;
    this.#child.ref();
    this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), STOP_WITHIN_MS);
    await this.exited;
    clearTimeout(force);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#child.ref();
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  async #isReady(signal: AbortSignal): Promise<boolean> {
    try {
      const answer = await fetch(`${this.url}/health/ready`, {
        signal: AbortSignal.any([signal, AbortSignal.timeout(3_000)]),
      });
      return answer.ok;
    } catch {
      signal.throwIfAborted();
      return false; // not listening yet
    }
  }
}

export function readLastLines(file: string, count: number): string[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count);
}
