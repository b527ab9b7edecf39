import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { DittoError } from '#kernel';

const root = join(import.meta.dirname, '..');
const LINE_EVERY_MS = 5_000;

/**
 * Compiles the services unless `dist/` was made from these sources. Throws `DITTO_DEMO_BUILD_FAILED` with the end of the
 * compiler's output; an aborted build is killed, and what it left is compiled again next time.
 */
export async function buildServices(onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning'];
  const build = spawn(process.execPath, [...flags, join(root, 'tools', 'build.ts'), '--if-changed'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a group of its own, so that the compiler's processes end with it
  });
  const output: string[] = [];
  for (const stream of [build.stdout, build.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      const lines = text.split('\n').filter((line) => line.trim() !== '');
      output.push(...lines);
      // the compiler's complaints are shown once, when it has failed
      for (const line of lines) if (line.startsWith('Building')) onLine(`Services: ${line}`);
    });
  const began = performance.now();
  const progress = setInterval(
    () => onLine(`Services: still building (${Math.round((performance.now() - began) / 1_000)} s)`),
    LINE_EVERY_MS,
  );
  const end = (): void => {
    if (build.pid !== undefined && build.exitCode === null) process.kill(-build.pid, 'SIGKILL');
  };
  signal.addEventListener('abort', end, { once: true });
  const [code] = (await once(build, 'close')) as [number | null];
  clearInterval(progress);
  signal.removeEventListener('abort', end);
  signal.throwIfAborted();
  if (code === 0) return;
  throw new DittoError('DITTO_DEMO_BUILD_FAILED', 'The services could not be built.', {
    context: { lines: output.slice(-20) },
  });
}
