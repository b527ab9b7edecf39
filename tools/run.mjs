// Runs a TypeScript entry of this project on a machine where nothing is installed yet: needs Node 20 or newer and npm.
// It installs the dependencies when the lock has changed, then runs the entry on Node 24 (its own copy from the lock).
// usage: node tools/run.mjs [--built] ENTRY [ARG ...]   --built: ENTRY is built; build first when sources are newer
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const minimumMajor = 24;

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

function installDependencies() {
  const stamp = join(root, 'node_modules', '.ditto-lock');
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  process.stderr.write('Installing dependencies (npm ci) …\n');
  const began = Date.now();
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (npm.error) fail(`npm could not be started: ${npm.error.message}. Install npm 10 or newer and try again.`);
  if (npm.status !== 0)
    fail('npm ci failed, see above. Check that the npm registry is reachable, then run the same command again.');
  writeFileSync(stamp, lock);
  process.stderr.write(`Dependencies installed in ${String(Math.round((Date.now() - began) / 1000))} s.\n`);
}

function findNode() {
  const bundled = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(bundled) && spawnSync(bundled, ['--version']).status === 0) return bundled;
  if (Number(process.versions.node.split('.')[0]) >= minimumMajor) return process.execPath;
  return fail(
    `Ditto runs on Node ${String(minimumMajor)} or newer; this is ${process.version} and no bundled Node serves this platform. Install Node ${String(minimumMajor)}.`,
  );
}

function run(node, args) {
  const child = spawn(node, args, { cwd: root, stdio: 'inherit', env: environment(node) });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`${node} could not be started: ${error.message}`));
  return new Promise((resolve) => child.on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1))));
}

function environment(node) {
  return { ...process.env, PATH: `${dirname(node)}:${process.env.PATH ?? ''}` };
}

const [first, ...rest] = process.argv.slice(2);
const built = first === '--built';
const [entry, ...args] = built ? rest : [first, ...rest];
if (!entry) fail('usage: node tools/run.mjs [--built] ENTRY [ARG ...]');
installDependencies();
const node = findNode();
const sourceFlags = ['--conditions=source', '--disable-warning=ExperimentalWarning'];
if (built) {
  const status = await run(node, [...sourceFlags, join(root, 'tools', 'build.ts'), '--if-changed']);
  if (status !== 0) process.exit(status);
}
process.exitCode = await run(node, [...(built ? [] : sourceFlags), join(root, entry), ...args]);
