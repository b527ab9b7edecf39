import { DittoError } from '#kernel';
import { canRun, runCommand } from '../command.ts';
import { findDebianKeyring, unsupportedSystem } from './platform.ts';
import { Progress } from './progress.ts';

/** What a preparation needs from the machine. */
export type ToolName = 'java' | 'mvn' | 'flock' | 'setpriv' | 'debian-archive-keyring';

const MINIMUM_JAVA = 17;
const minimumGo = [1, 25] as const;

interface Tool {
  /** Debian package that brings it. */
  readonly package: string;
  readonly label: string;
  isPresent(): Promise<boolean>;
}

const tools: Readonly<Record<ToolName, Tool>> = {
  java: {
    package: 'default-jre-headless',
    label: `Java ${MINIMUM_JAVA} or newer`,
    isPresent: async () => ((await readJavaVersion())?.major ?? 0) >= MINIMUM_JAVA,
  },
  mvn: { package: 'maven', label: 'Maven', isPresent: () => canRun('mvn', ['--version'], 60_000) },
  flock: { package: 'util-linux', label: 'flock', isPresent: () => canRun('flock', ['--version']) },
  setpriv: { package: 'util-linux', label: 'setpriv', isPresent: () => canRun('setpriv', ['--version']) },
  'debian-archive-keyring': {
    package: 'debian-archive-keyring',
    label: 'the Debian archive keyring',
    isPresent: () => Promise.resolve(findDebianKeyring() !== null),
  },
};

export interface JavaVersion {
  readonly major: number;
  readonly full: string;
}

export function parseJavaVersion(text: string): JavaVersion | null {
  const full = /version "([^"]+)"/.exec(text)?.[1];
  if (full === undefined) return null;
  const [first, second] = full.split('.');
  return { major: Number(first === '1' ? second : first), full };
}

/** Null when there is no `java`. */
export async function readJavaVersion(): Promise<JavaVersion | null> {
  const lines: string[] = [];
  const ran = await runCommand('java', ['-version'], { onLine: (line) => lines.push(line), timeoutMs: 20_000 }).then(
    () => true,
    () => false,
  );
  return ran ? parseJavaVersion(lines.join('\n')) : null;
}

export function isRecentGo(text: string): boolean {
  const match = /go version go(\d+)\.(\d+)/.exec(text);
  if (match === null) return false;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  return major > minimumGo[0] || (major === minimumGo[0] && minor >= minimumGo[1]);
}

/** Whether the machine's own Go can build what the stack needs. */
export async function hasRecentGo(): Promise<boolean> {
  return runCommand('go', ['version'], {
    environment: { ...process.env, GOTOOLCHAIN: 'local' },
    timeoutMs: 20_000,
  }).then(isRecentGo, () => false);
}

export interface EnsureToolsOptions {
  readonly signal?: AbortSignal | undefined;
  /** Default: when this process is root. */
  readonly mayInstall?: boolean;
}

/**
 * Makes sure of the tools: missing ones are installed with apt when this process may, else
 * `DITTO_STACK_TOOLS_MISSING` names them all and the command that installs them.
 */
export async function ensureTools(
  names: readonly ToolName[],
  write: (line: string) => void,
  { signal, mayInstall = process.getuid?.() === 0 }: EnsureToolsOptions = {},
): Promise<void> {
  const missing = await findMissing(names);
  if (missing.length === 0) return;
  if (!(await canRun('apt-get', ['--version'])) || !(await canRun('dpkg-deb', ['--version'])))
    throw unsupportedSystem('this system has no apt-get and dpkg-deb');
  const packages = [...new Set(missing.map((name) => tools[name].package))];
  if (mayInstall) await installPackages(packages, new Progress('Tools', write), signal);
  const still = await findMissing(missing);
  if (still.length > 0) throw toolsMissing(still);
}

async function findMissing(names: readonly ToolName[]): Promise<ToolName[]> {
  const present = await Promise.all(names.map((name) => tools[name].isPresent()));
  return names.filter((_, index) => present[index] === false);
}

function toolsMissing(names: readonly ToolName[]): DittoError {
  const packages = [...new Set(names.map((name) => tools[name].package))];
  return new DittoError('DITTO_STACK_TOOLS_MISSING', `Missing: ${names.map((name) => tools[name].label).join(', ')}.`, {
    context: { missing: names },
    remedy: `Run as root: apt-get update && apt-get install ${packages.join(' ')}. Or use Docker, or give the URLs of running servers.`,
  });
}

async function installPackages(packages: readonly string[], progress: Progress, signal?: AbortSignal): Promise<void> {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  // not aborted: killing dpkg would leave the machine's packages half-configured
  const apt = (args: readonly string[]): Promise<string> =>
    runCommand('apt-get', ['-q', '-y', '-o', 'DPkg::Lock::Timeout=300', ...args], { environment });
  progress.line(`installing ${packages.join(', ')} with apt`);
  const work = apt(['update']).then(() => apt(['--no-install-recommends', 'install', ...packages]));
  await progress.watch(() => `installing ${packages.join(', ')}`, work);
  signal?.throwIfAborted();
  progress.line(`installed after ${progress.seconds()}`);
}
