// npm test: sets up what the tests need, runs all of them, and takes everything down again.
// usage: npm test [-- [unit] [integration] [system] [--pattern REGEXP] [--long]]   default: all three
// npm run test:images: the images, where a Docker engine answers
// --long (npm run test:long): only the tests that have a long form, in that form
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { defaultServers, findCacheFolder, startStack, type Stack } from '#stack';
import { TEST_STACK_VARIABLE } from '#testing';
import { findLongTests, LONG_TEST_VARIABLE } from './long-tests.ts';

const root = join(import.meta.dirname, '..');
const defaultGroups = ['unit', 'integration', 'system'] as const;
const groups = [...defaultGroups, 'images'] as const;
type Group = (typeof groups)[number];

interface Counts {
  passed: number;
  failed: number;
}

interface JestResult {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function spawnNode(args: readonly string[], environment: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const child = spawn(process.execPath, args, { cwd: root, env: environment, stdio: ['ignore', 2, 2] });
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop, { once: true });
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
}

/** Tests of the system and of the images kill and freeze what others use, so they run alone, one file after the other. */
async function runGroup(
  group: Group,
  patterns: readonly string[],
  folder: string,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Counts> {
  const report = join(folder, `${group}.json`);
  const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
  const args = [
    jest,
    `--selectProjects=${group}`,
    ...(group === 'system' || group === 'images' ? ['--runInBand'] : ['--maxWorkers=2']),
    '--json',
    `--outputFile=${report}`,
    ...(patterns.length === 0 ? [] : ['--passWithNoTests', '--testPathPatterns', ...patterns]),
  ];
  const status = await spawnNode(args, environment, signal);
  try {
    const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites } = JSON.parse(
      readFileSync(report, 'utf8'),
    ) as JestResult;
    const failed = numFailedTests + numRuntimeErrorTestSuites;
    return { passed: numPassedTests, failed: status !== 0 && failed === 0 ? 1 : failed };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

async function startServers(folder: string, signal: AbortSignal): Promise<Stack> {
  const began = performance.now();
  const servers = [...defaultServers, 'mariadb'] as const;
  const stack = await startStack({ folder: join(folder, 'stack'), servers, onProgress: say, signal });
  say(`The servers are up (${stack.kind}, ${((performance.now() - began) / 1000).toFixed(1)} s).`);
  return stack;
}

/** Empty: all tests. Jest joins patterns by "or"; a long form is chosen by its path, and also by --pattern. */
function choosePatterns(pattern: string | undefined, isLong: boolean): string[] {
  if (!isLong) return pattern === undefined ? [] : [pattern];
  const wanted = new RegExp(pattern ?? '');
  return findLongTests(root)
    .filter((path) => wanted.test(path))
    .map((path) => `${path.replaceAll('.', '\\.')}$`);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { pattern: { type: 'string' }, long: { type: 'boolean', default: false } },
});
const chosen: readonly Group[] =
  positionals.length === 0 ? defaultGroups : groups.filter((group) => positionals.includes(group));
const unknown = positionals.filter((name) => !(groups as readonly string[]).includes(name));
if (unknown.length > 0) {
  say(`There are no tests called ${unknown.join(', ')}: choose from ${groups.join(', ')}.`);
  process.exit(2);
}

if (chosen.includes('images') && spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 10_000 }).status !== 0) {
  say('The images can not be tested: no Docker engine answers `docker info`. Start one, or name it in DOCKER_HOST.');
  process.exit(1);
}

const patterns = choosePatterns(values.pattern, values.long);
if (values.long && patterns.length === 0) {
  say('No test with a long form has such a path.');
  process.exit(2);
}

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort(new Error(signal)));
const folder = join(findCacheFolder(process.env), 'test-runs');
mkdirSync(folder, { recursive: true });
const run = mkdtempSync(join(folder, 'run-'));
const total: Counts = { passed: 0, failed: 0 };
const staticChecks = process.env['DITTO_STATIC_CHECKS'];
if (staticChecks !== undefined) total[staticChecks === '0' ? 'passed' : 'failed']++;
let stack: Stack | null = null;
try {
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
  const environment: NodeJS.ProcessEnv = { ...process.env, NODE_OPTIONS: flags.join(' ') };
  if (values.long) environment[LONG_TEST_VARIABLE] = '1';
  if (chosen.some((group) => group !== 'unit')) {
    stack = await startServers(run, stop.signal);
    environment[TEST_STACK_VARIABLE] = stack.folder;
  }
  if (chosen.some((group) => group === 'integration' || group === 'system')) {
    const built = await spawnNode(
      ['--conditions=source', join(root, 'tools', 'build.ts'), '--if-changed'],
      process.env,
      stop.signal,
    );
    if (built !== 0) throw new Error('The services could not be built.');
  }
  for (const group of chosen) {
    stop.signal.throwIfAborted();
    const { passed, failed } = await runGroup(group, patterns, run, environment, stop.signal);
    total.passed += passed;
    total.failed += failed;
  }
} catch (error) {
  total.failed++;
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  await stack?.down();
  rmSync(run, { recursive: true, force: true });
}
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
