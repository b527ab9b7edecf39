import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DittoError } from '#kernel';
import { identifyProcess, isAlive, type ProcessIdentity } from '../process-identity.ts';

export interface ProcessOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: NodeJS.ProcessEnv;
  readonly folder?: string;
  /** Standard output and standard error are appended here. */
  readonly logFile: string;
}

export interface StartedProcess {
  readonly identity: ProcessIdentity;
  /** Set when the program could not be started at all. */
  readonly failure: () => Error | null;
}

/**
 * Starts a server in a session of its own: a Ctrl-C in the terminal doesn't reach it, and it outlives this process.
 */
export function startProcess({ command, args, environment, folder, logFile }: ProcessOptions): StartedProcess {
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a');
  let failure: Error | null = null;
  try {
    const child = spawn(command, args, {
      cwd: folder ?? '/',
      env: environment ?? process.env,
      detached: true,
      stdio: ['ignore', log, log],
    });
    child.on('error', (error) => (failure = error));
    child.unref();
    const identity = child.pid === undefined ? null : identifyProcess(child.pid);
    return { identity: identity ?? { pid: child.pid ?? -1, startedTicks: '', bootId: '' }, failure: () => failure };
  } finally {
    closeSync(log);
  }
}

export interface ReadinessOptions {
  readonly what: string;
  readonly process: StartedProcess;
  readonly logFile: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly probe: () => Promise<boolean> | boolean;
}

/** Throws `DITTO_STACK_START_FAILED`, with the end of the log, when the server dies or isn't ready in time. */
export async function waitUntilReady(options: ReadinessOptions): Promise<void> {
  const deadline = performance.now() + options.timeoutMs;
  while (!(await options.probe())) {
    options.signal?.throwIfAborted();
    const cause = options.process.failure();
    const dead = !isAlive(options.process.identity);
    if (dead || performance.now() > deadline)
      throw new DittoError(
        'DITTO_STACK_START_FAILED',
        `${options.what} ${dead ? `ended while starting${cause === null ? '' : ` (${cause.message})`}` : `was not ready within ${options.timeoutMs} ms`}. Log ${options.logFile} ends with:\n${readTail(options.logFile)}`,
        { cause: cause ?? undefined, context: { logFile: options.logFile } },
      );
    await sleep(25);
  }
}

export function readTail(file: string, lines = 20): string {
  if (!existsSync(file)) return '(no log)';
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}
