import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DittoError } from '#kernel';
import { attachStack } from '#stack';

/** The services of a run that was left running, for the command that ends it. */
interface KeptService {
  readonly name: string;
  readonly pid: number;
  /** Start time of the process (proc(5), field 22): a pid alone may be another's by now. */
  readonly started: string;
}

const FILE_NAME = 'services.json';
const STOP_WITHIN_MS = 20_000;

export function rememberServices(
  folder: string,
  services: readonly { readonly name: string; readonly pid: number }[],
): void {
  const kept: KeptService[] = services.map(({ name, pid }) => ({ name, pid, started: readStart(pid) ?? '' }));
  writeFileSync(join(folder, FILE_NAME), `${JSON.stringify(kept, null, 2)}\n`);
}

/** Ends the services and servers of a kept run and deletes its folder. */
export async function stopKeptRun(path: string, onLine: (line: string) => void): Promise<void> {
  const folder = resolve(path);
  const file = join(folder, FILE_NAME);
  if (!existsSync(file))
    throw new DittoError('DITTO_DEMO_RUN_NOT_FOUND', `${folder} holds no run of the demo.`, {
      remedy: 'Give the folder that the demo printed.',
    });
  for (const service of JSON.parse(readFileSync(file, 'utf8')) as KeptService[]) {
    onLine(`Stopping ${service.name.toUpperCase()} …`);
    await end(service);
  }
  onLine('Stopping the servers …');
  const stack = await attachStack(join(folder, 'stack'));
  await stack.down();
  rmSync(folder, { recursive: true, force: true });
}

async function end({ pid, started }: KeptService): Promise<void> {
  const lives = (): boolean => started !== '' && readStart(pid) === started;
  if (!lives()) return;
  process.kill(pid, 'SIGTERM');
  const deadline = performance.now() + STOP_WITHIN_MS;
  while (lives()) {
    if (performance.now() > deadline) process.kill(pid, 'SIGKILL');
    await sleep(50);
  }
}

/** Null when no such process lives. */
function readStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : (fields[19] ?? null);
  } catch {
    return null; // gone, or a system without /proc
  }
}
