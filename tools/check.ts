// Types, lint, architecture rules, format and the health of the lock, two at a time. Exit code 1 when any of them fails.
// usage: npm run check [-- lint types architecture format lock]   default: all
import { spawn } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const bin = (path: string): string => join(root, 'node_modules', path);

const checks: readonly { readonly name: string; readonly args: readonly string[] }[] = [
  { name: 'lint', args: [bin('eslint/bin/eslint.js'), '.', '--cache', '--cache-location', '.cache/eslint/'] },
  {
    name: 'types',
    args: [
      bin('typescript/bin/tsc'),
      ...['-p', 'tsconfig.json', '--incremental', '--tsBuildInfoFile', '.cache/types.tsbuildinfo'],
    ],
  },
  {
    name: 'architecture',
    args: [
      bin('dependency-cruiser/bin/dependency-cruiser.mjs'),
      '--config',
      '.dependency-cruiser.mjs',
      'apps',
      'libs',
      'stack',
      'demo',
      'bench',
      'test',
      'tools',
    ],
  },
  { name: 'format', args: [bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'] },
  { name: 'lock', args: [join(root, 'tools', 'check-lock.mjs')] },
];

async function run({ name, args }: (typeof checks)[number]): Promise<boolean> {
  const began = performance.now();
  const child = spawn(process.execPath, ['--max-old-space-size=4096', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => output.push(chunk));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  process.stdout.write(
    `${code === 0 ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)\n`,
  );
  if (code !== 0) process.stdout.write(Buffer.concat(output));
  return code === 0;
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => checks.every((check) => check.name !== name));
if (unknown.length > 0) {
  process.stderr.write(
    `There are no checks called ${unknown.join(', ')}: choose from ${checks.map(({ name }) => name).join(', ')}.\n`,
  );
  process.exit(2);
}
const waiting = checks.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const failed: string[] = [];
async function work(): Promise<void> {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
    if (!(await run(next))) failed.push(next.name);
}
await Promise.all([work(), work()]);
process.exitCode = failed.length === 0 ? 0 : 1;
