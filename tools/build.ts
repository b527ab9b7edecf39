// Builds the three services and the command line: nest build compiles them, then they are bundled into dist/.
// With --if-changed it does nothing when dist/ was built from these sources.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.ts';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'dist');
const compiled = join(root, '.cache', 'compiled');
const stamp = join(folder, '.sources');

function hashSources(): string {
  const hash = createHash('sha256');
  for (const folder of ['apps', 'libs'])
    for (const file of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).sort())
      if (/\/src\/.*(?<!\.spec)\.ts$|tsconfig.*\.json$/.test(file))
        hash.update(file).update(readFileSync(join(root, folder, file)));
  for (const file of [
    'package.json',
    'package-lock.json',
    'nest-cli.json',
    'tsconfig.base.json',
    'tsconfig.build.base.json',
    'tools/build.ts',
    'tools/bundle.ts',
    'tools/source-map-lines.ts',
  ])
    hash.update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

const sources = hashSources();
if (!(process.argv.includes('--if-changed') && existsSync(stamp) && readFileSync(stamp, 'utf8') === sources)) {
  for (const old of [folder, compiled]) rmSync(old, { recursive: true, force: true });
  process.stderr.write('Building the services (nest build) …\n');
  const nest = join(root, 'node_modules', '@nestjs', 'cli', 'bin', 'nest.js');
  const build = spawnSync(process.execPath, [nest, 'build', 'dss', 'dws', 'dcs'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (build.status !== 0) process.exit(1);
  await bundle({
    root,
    folder,
    entries: {
      dss: join(compiled, 'apps/dss/src/main.js'),
      dcs: join(compiled, 'apps/dcs/src/main.js'),
      dws: join(compiled, 'apps/dws/src/main.js'),
      ditto: join(compiled, 'apps/dss/src/cli.js'),
    },
  });
  // fills the compile cache: without a configuration a service ends as soon as it is loaded
  for (const service of ['dss', 'dcs', 'dws'])
    spawnSync(process.execPath, [join(folder, `${service}.mjs`)], { env: { DITTO_CONFIG: folder }, stdio: 'ignore' });
  writeFileSync(stamp, sources);
}
