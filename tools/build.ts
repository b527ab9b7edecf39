// Compiles the three services into dist/. With --if-changed it does nothing when dist/ was built from these sources.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const stamp = join(root, 'dist', '.sources');

function hashSources(): string {
  const hash = createHash('sha256');
  for (const folder of ['apps', 'libs'])
    for (const file of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).sort())
      if (/\/src\/.*(?<!\.spec)\.ts$|tsconfig.*\.json$/.test(file))
        hash.update(file).update(readFileSync(join(root, folder, file)));
  for (const file of ['package-lock.json', 'nest-cli.json', 'tsconfig.base.json', 'tsconfig.build.base.json'])
    hash.update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

const sources = hashSources();
if (!(process.argv.includes('--if-changed') && existsSync(stamp) && readFileSync(stamp, 'utf8') === sources)) {
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  process.stderr.write('Building the services (nest build) …\n');
  const nest = join(root, 'node_modules', '@nestjs', 'cli', 'bin', 'nest.js');
  const build = spawnSync(process.execPath, [nest, 'build', 'dss', 'dws', 'dcs'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (build.status !== 0) process.exit(1);
  mkdirSync(join(root, 'dist'), { recursive: true });
  writeFileSync(stamp, sources);
}
