import { createHash } from 'node:crypto';
import {
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  existsSync,
  openSync,
  readSync,
  closeSync,
  statSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { DittoError } from '#kernel';
import { runCommand } from '../command.ts';
import { type DebianSuite, SuiteApt } from './apt.ts';
import { buildOnce, withLock } from './cache.ts';
import type { NativePlatform } from './platform.ts';
import { formatMegabytes, Progress } from './progress.ts';

const pinnedPackages = join(import.meta.dirname, '../../native/debian-packages.json');
const LAYOUT_VERSION = 1;

export interface PreparationContext {
  /** The cache folder; runtimes hold its absolute path, so it must stay where it is. */
  readonly cache: string;
  readonly platform: NativePlatform;
  readonly write: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Debian packages unpacked into one folder, run with that folder's own libc. */
export class DebianRuntime {
  readonly root: string;
  readonly #platform: NativePlatform;

  constructor(root: string, platform: NativePlatform) {
    this.root = root;
    this.#platform = platform;
  }

  get libraries(): string {
    return join(this.root, 'usr/lib', this.#platform.triplet);
  }

  get postgres(): string {
    return join(this.root, 'usr/lib/postgresql/18');
  }

  get loader(): string {
    return join(this.libraries, this.#platform.loader);
  }

  /** Command line that runs a program of the runtime on the runtime's own loader and libraries. */
  command(program: string, args: readonly string[]): [string, string[]] {
    return [this.loader, ['--library-path', this.libraries, join(this.root, program), ...args]];
  }
}

type PackageSet = 'servers' | 'go' | 'mariadb';

/** MariaDB comes from the suite whose version is kept: a long-term one. */
const suites: Readonly<Record<PackageSet, DebianSuite>> = { servers: 'sid', go: 'sid', mariadb: 'bookworm' };

function readPinned(set: PackageSet): Record<string, string> {
  return (JSON.parse(readFileSync(pinnedPackages, 'utf8')) as Record<PackageSet, Record<string, string>>)[set];
}

/** Name of the cache folder for a package set: other pins make another folder. */
function folderFor(set: PackageSet, { cache, platform }: PreparationContext): string {
  const key = JSON.stringify([LAYOUT_VERSION, platform.debian, readPinned(set)]);
  return join(cache, `debian-${set}-${createHash('sha256').update(key).digest('hex').slice(0, 12)}`);
}

export function findServerRuntime(context: PreparationContext): DebianRuntime {
  return new DebianRuntime(folderFor('servers', context), context.platform);
}

export function findMariaDbRuntime(context: PreparationContext): DebianRuntime {
  return new DebianRuntime(folderFor('mariadb', context), context.platform);
}

export async function prepareMariaDbRuntime(context: PreparationContext): Promise<DebianRuntime> {
  const runtime = findMariaDbRuntime(context);
  const progress = new Progress('MariaDB', context.write);
  await buildOnce(runtime.root, progress, async (temporary) => {
    await unpackPackages('mariadb', temporary, progress, context);
    mergeIntoUsr(temporary);
    for (const part of ['usr/share/doc', 'usr/share/man'])
      rmSync(join(temporary, part), { recursive: true, force: true });
    progress.line(`ready after ${progress.seconds()}`);
  });
  return runtime;
}

/**
 * Bookworm's packages still ship `/lib` in addition to `/usr/lib`; an installed system has the one as a link to the
 * other.
 */
function mergeIntoUsr(root: string): void {
  for (const name of ['lib', 'lib64']) {
    const folder = join(root, name);
    if (!existsSync(folder)) continue;
    cpSync(folder, join(root, 'usr', name), { recursive: true, verbatimSymlinks: true });
    rmSync(folder, { recursive: true });
  }
}

export async function prepareServerRuntime(context: PreparationContext): Promise<DebianRuntime> {
  const runtime = findServerRuntime(context);
  const progress = new Progress('MySQL, PostgreSQL, Redis', context.write);
  await buildOnce(runtime.root, progress, async (temporary) => {
    await unpackPackages('servers', temporary, progress, context);
    progress.line('setting library paths');
    await relocatePostgres(new DebianRuntime(temporary, context.platform), runtime, context.signal);
    for (const part of ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/lib/postgresql/18/lib/bitcode'])
      rmSync(join(temporary, part), { recursive: true, force: true });
    progress.line(`ready after ${progress.seconds()}`);
  });
  return runtime;
}

/** The Go tool chain of Debian's unstable suite; gives the folder to use as GOROOT. */
export async function prepareGo(context: PreparationContext): Promise<string> {
  const folder = folderFor('go', context);
  const progress = new Progress('Go', context.write);
  await buildOnce(folder, progress, (temporary) => unpackPackages('go', temporary, progress, context));
  return join(folder, 'usr/lib/go');
}

async function unpackPackages(
  set: PackageSet,
  folder: string,
  progress: Progress,
  context: PreparationContext,
): Promise<void> {
  const suite = suites[set];
  const aptFolder = join(context.cache, suite === 'sid' ? 'apt' : `apt-${suite}`);
  const files = await withLock(`${aptFolder}.lock`, progress, async () => {
    const apt = await SuiteApt.open(aptFolder, suite, context.platform, context.signal);
    progress.line('reading package lists');
    await progress.watch(() => 'reading package lists', apt.update());
    const pinned = readPinned(set);
    const candidates = await apt.findCandidates(Object.keys(pinned));
    for (const warning of comparePins(pinned, candidates)) progress.line(warning);
    const specifications = [...candidates].map(([name, version]) => `${name}=${version}`);
    const plan = await apt.plan(specifications);
    progress.line(`${plan.files.length} packages, ${formatMegabytes(plan.bytes)} to download`);
    const present = sumBytes(plan.files);
    await progress.watch(
      () => `${formatMegabytes(sumBytes(plan.files) - present)} of ${formatMegabytes(plan.bytes)}`,
      apt.download(specifications),
    );
    return plan.files;
  });
  progress.line(`unpacking ${files.length} packages`);
  await unpackAll(files, folder, progress, context.signal);
  writeFileSync(
    join(folder, 'packages.json'),
    JSON.stringify(
      files.map((file) => basename(file)),
      null,
      1,
    ),
  );
}

/** Warnings for packages whose tested version the suite no longer has; throws when it lacks a package altogether. */
export function comparePins(
  pinned: Readonly<Record<string, string>>,
  candidates: ReadonlyMap<string, string>,
): string[] {
  const missing = Object.keys(pinned).filter((name) => !candidates.has(name));
  if (missing.length > 0)
    throw new DittoError(
      'DITTO_STACK_PACKAGE_MISSING',
      `Debian's suite lacks ${missing.join(', ')} for this architecture.`,
      {
        context: { missing },
        remedy: 'Use Docker or give the URLs of running servers (stack/README.md).',
      },
    );
  return Object.entries(pinned).flatMap(([name, version]) => {
    const candidate = candidates.get(name);
    return candidate === version
      ? []
      : [`warning: ${name} ${version} was tested; taking ${candidate ?? ''}, the present one`];
  });
}

function sumBytes(files: readonly string[]): number {
  return files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0);
}

async function unpackAll(
  files: readonly string[],
  folder: string,
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  const queue = [...files];
  const work = async (): Promise<void> => {
    try {
      for (let file = queue.shift(); file !== undefined; file = queue.shift())
        await runCommand('dpkg-deb', ['-x', file, folder], { signal });
    } finally {
      queue.length = 0; // a failure ends the other workers too
    }
  };
  const workers = Array.from({ length: Math.min(4, availableParallelism()) }, work);
  // all have ended before the folder may be removed
  const all = Promise.allSettled(workers).then(() => Promise.all(workers));
  await progress.watch(() => `unpacked ${files.length - queue.length} of ${files.length}`, all);
}

/**
 * PostgreSQL finds its files by its own path and starts itself again, so it can't run through the loader: its programs
 * and extensions get interpreter and library path of the final folder written into them.
 */
async function relocatePostgres(built: DebianRuntime, final: DebianRuntime, signal?: AbortSignal): Promise<void> {
  const patch = async (args: readonly string[], files: readonly string[]): Promise<void> => {
    const [command, rest] = built.command('usr/bin/patchelf', [...args, ...files]);
    await runCommand(command, rest, { signal });
  };
  const programs = listFiles(join(built.postgres, 'bin')).filter(isElf);
  await patch(['--set-interpreter', final.loader, '--force-rpath', '--set-rpath', final.libraries], programs);
  // a library with a RUNPATH of its own doesn't look at the program's RPATH
  const extensions = listFiles(join(built.postgres, 'lib')).filter((file) => file.endsWith('.so'));
  await patch(
    ['--force-rpath', '--set-rpath', `$ORIGIN:${final.libraries}`],
    [...extensions, join(built.libraries, 'libgeos_c.so.1')],
  );
  // what the packages' install scripts do
  const share = join(built.root, 'usr/share/postgresql/18');
  if (!existsSync(join(share, 'extension/postgis.control')))
    symlinkSync('postgis-3.control', join(share, 'extension/postgis.control'));
}

function listFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(folder, entry.name));
}

function isElf(file: string): boolean {
  const descriptor = openSync(file, 'r');
  try {
    const magic = Buffer.alloc(4);
    readSync(descriptor, magic, 0, 4, 0);
    return magic.toString('latin1') === '\x7fELF';
  } finally {
    closeSync(descriptor);
  }
}
