import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { buildOnce } from './cache.ts';
import { type PreparationContext, prepareGo } from './debian-runtime.ts';
import { formatMegabytes, Progress } from './progress.ts';
import { hasRecentGo } from './tools.ts';

const moduleFolder = join(import.meta.dirname, '../../native/ferretdb');
const MAIN_PACKAGE = 'github.com/FerretDB/FerretDB/v2/cmd/ferretdb';

function folderFor(context: PreparationContext): string {
  const pins = createHash('sha256')
    .update(readFileSync(join(moduleFolder, 'go.sum')))
    .digest('hex')
    .slice(0, 12);
  return join(context.cache, `ferretdb-${context.platform.debian}-${pins}`);
}

/**
 * Builds FerretDB from the Go module proxy that Go is configured to use; every module is checked against the hashes in
 * `stack/native/ferretdb/go.sum`. Gives the path of the program.
 */
export async function prepareFerretDb(context: PreparationContext): Promise<string> {
  const folder = folderFor(context);
  const progress = new Progress('FerretDB', context.write);
  await buildOnce(folder, progress, async (temporary) => {
    const ownGo = await hasRecentGo();
    const goRoot = ownGo ? null : await prepareGo(context);
    const work = join(temporary, 'build');
    mkdirSync(work);
    for (const file of ['go.mod', 'go.sum']) copyFileSync(join(moduleFolder, file), join(work, file));
    await buildProgram(goRoot, work, join(temporary, 'ferretdb'), progress, context.signal);
    rmSync(work, { recursive: true, force: true });
    progress.line(`built, ${formatMegabytes(statSync(join(temporary, 'ferretdb')).size)}, after ${progress.seconds()}`);
  });
  return join(folder, 'ferretdb');
}

async function buildProgram(
  goRoot: string | null,
  work: string,
  program: string,
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  const environment = {
    ...process.env,
    ...(goRoot === null ? {} : { GOROOT: goRoot }),
    GOPATH: join(work, 'gopath'),
    GOMODCACHE: join(work, 'gopath/pkg/mod'),
    GOCACHE: join(work, 'gocache'),
    GOTMPDIR: work,
    GOFLAGS: '-mod=readonly -modcacherw -buildvcs=false -trimpath',
    GOTOOLCHAIN: 'local',
    CGO_ENABLED: '0',
  };
  const go = goRoot === null ? 'go' : join(goRoot, 'bin/go');
  const run = (args: readonly string[]): Promise<string> => runCommand(go, args, { environment, folder: work, signal });
  progress.line('downloading modules');
  await progress.watch(() => 'downloading modules', run(['mod', 'download']));
  progress.line('compiling (one to three minutes, once)');
  await progress.watch(() => 'compiling', run(['build', '-ldflags=-s -w', '-o', program, MAIN_PACKAGE]));
}
