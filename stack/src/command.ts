import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { DittoError } from '#kernel';

export interface CommandOptions {
  readonly environment?: NodeJS.ProcessEnv;
  readonly folder?: string;
  readonly input?: string;
  /** Each line of standard output and standard error as it comes. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

/** Runs a program to its end and gives its standard output; anything but exit code 0 throws `DITTO_STACK_COMMAND_FAILED`. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<number | string>();
  const limits = [options.signal, AbortSignal.timeout(options.timeoutMs ?? 900_000)].filter(
    (signal) => signal !== undefined,
  );
  const child = spawn(command, args, {
    cwd: options.folder,
    env: options.environment ?? process.env,
    stdio: ['pipe', 'pipe', 'pipe'],
    signal: AbortSignal.any(limits),
  });
  child.on('error', reject);
  child.on('close', (code, signal) => resolve(code ?? signal ?? 'unknown'));
  child.stdin.on('error', () => undefined); // a program that ends before reading its input says so by its exit code
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
  let ended: number | string;
  try {
    ended = await promise;
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw new DittoError('DITTO_STACK_COMMAND_FAILED', `${command} could not be run: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (ended === 0) return output.join('\n');
  throw new DittoError(
    'DITTO_STACK_COMMAND_FAILED',
    `${command} ${args[0] ?? ''} ended with ${ended}:\n${tail.join('\n')}`,
    {
      context: { command, ended },
    },
  );
}

/** Whether the program can be found and answers the given arguments with exit code 0. */
export async function canRun(command: string, args: readonly string[], timeoutMs = 10_000): Promise<boolean> {
  return runCommand(command, args, { timeoutMs }).then(
    () => true,
    () => false,
  );
}
