import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { DittoError } from '#kernel';
import { identifyProcess, signalTree } from './process-identity.ts';

export interface CommandOptions {
  readonly environment?: NodeJS.ProcessEnv;
  readonly folder?: string;
  readonly input?: string;
  /** Each line of standard output and standard error as it comes. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

/**
 * Runs a program to its end and gives its standard output; anything but exit code 0 throws
 * `DITTO_STACK_COMMAND_FAILED`. When it is aborted or takes too long, it is killed with all its descendants, and is
 * gone when this throws.
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  options.signal?.throwIfAborted();
  const timeout = AbortSignal.timeout(options.timeoutMs ?? 900_000);
  const child = spawn(command, args, {
    cwd: options.folder,
    env: options.environment ?? process.env,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined); // a program that ends before reading its input reports it by its exit code
  child.stdin.end(options.input ?? '');
  const output: string[] = [];
  const tail: string[] = [];
  const keep = (line: string): void => {
    if (tail.push(line) > 30) tail.shift();
    options.onLine?.(line);
  };
  createInterface({ input: child.stdout }).on('line', (line) => {
    output.push(line);
    keep(line);
  });
  createInterface({ input: child.stderr }).on('line', keep);
  const ended = await waitForEnd(
    child,
    options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]),
  );
  options.signal?.throwIfAborted();
  if (ended === 0) return output.join('\n');
  const what = ended instanceof Error ? `could not be run: ${ended.message}` : `ended with ${ended}`;
  const late = timeout.aborted ? ' (it took too long)' : '';
  throw new DittoError(
    'DITTO_STACK_COMMAND_FAILED',
    `${[command, ...args.slice(0, 1)].join(' ')} ${what}${late}\n${tail.join('\n')}`,
    {
      context: { command, ended: ended instanceof Error ? ended.message : ended },
      ...(ended instanceof Error ? { cause: ended } : {}),
    },
  );
}

/** Exit code, signal, or why it could not be started. */
function waitForEnd(child: ChildProcess, limit: AbortSignal): Promise<number | string | Error> {
  return new Promise((resolve) => {
    const kill = (): void => {
      const identity = child.pid === undefined ? null : identifyProcess(child.pid);
      if (identity !== null) signalTree(identity, 'SIGKILL');
    };
    const finish = (end: number | string | Error): void => {
      limit.removeEventListener('abort', kill);
      resolve(end);
    };
    limit.addEventListener('abort', kill);
    child.on('error', finish);
    child.on('close', (code, signal) => finish(code ?? signal ?? 'no exit code'));
  });
}

/** Whether the program can be found and answers the given arguments with exit code 0. */
export async function canRun(command: string, args: readonly string[], timeoutMs = 10_000): Promise<boolean> {
  return runCommand(command, args, { timeoutMs }).then(
    () => true,
    () => false,
  );
}
