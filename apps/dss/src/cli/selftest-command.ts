import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Runs the self-test, which is in the repository beside the demo: what damages copies on purpose is in no image. Gives its
 * exit code.
 */
export async function runSelftest(
  args: readonly string[],
  root: string,
  complain: (text: string) => void,
): Promise<number> {
  const entry = join(root, 'demo', 'selftest.ts');
  if (!existsSync(entry)) {
    complain('The self-test is in the repository only: run it there, as npm run ditto -- selftest.');
    return 2;
  }
  // npm and the shell send it to both; the self-test cleans up
  process.on('SIGINT', () => undefined);
  const flags = ['--conditions=source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, entry, ...args], { cwd: root, stdio: 'inherit' });
  return new Promise((resolve, reject) => child.on('error', reject).on('exit', (code) => resolve(code ?? 2)));
}
