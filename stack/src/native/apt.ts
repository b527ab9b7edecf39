import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { findDebianKeyring, type NativePlatform, unsupportedSystem } from './platform.ts';

/** What apt says about the repositories that this machine is configured to use. */
export interface IndexTarget {
  readonly uri: string;
  readonly origin: string;
  readonly suite: string;
}

const TARGET_FORMAT = '$(REPO_URI)\t$(ORIGIN)\t$(SUITE)';

export function parseIndexTargets(text: string): IndexTarget[] {
  return text
    .split('\n')
    .map((line) => line.split('\t'))
    .flatMap(([uri, origin = '', suite = '']) => (uri === undefined || uri === '' ? [] : [{ uri, origin, suite }]));
}

/** The machine's own Debian mirror (main archive, not security or backports hosts); null when it has none. */
export function chooseDebianMirror(targets: readonly IndexTarget[]): string | null {
  const main = targets.filter(({ uri, suite }) => !/security|debug|ports/.test(`${uri} ${suite}`));
  return (
    (main.find(({ uri }) => /\/debian\/?$/.test(uri)) ?? main.find(({ origin }) => origin === 'Debian'))?.uri ?? null
  );
}

/** Settings of the machine's apt that reach its mirror (proxies, certificates, time-outs); none that weakens a check. */
export function selectTransportSettings(dump: string): string[] {
  return dump
    .split('\n')
    .filter((line) => line.startsWith('Acquire::'))
    .filter(
      (line) => !/^Acquire::(IndexTargets|Changelogs|Languages|Allow|Check-|Compression|Gzip|PDiffs|Max-)/.test(line),
    )
    .filter((line) => !/Verify-(Peer|Host)/i.test(line));
}

export type DebianSuite = 'sid' | 'bookworm';

/**
 * An apt configuration of its own for one Debian suite, with an empty dpkg status: apt takes the whole closure, libc
 * too, and leaves the machine's packages alone. Signatures and hashes are checked as always; only the expiry of the
 * Release file isn't, since mirrors may serve a frozen unstable.
 */
export class SuiteApt {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #archives: string;
  readonly #signal: AbortSignal | undefined;

  private constructor(configuration: string, archives: string, signal: AbortSignal | undefined) {
    this.#environment = { ...process.env, APT_CONFIG: configuration, LC_ALL: 'C' };
    this.#archives = archives;
    this.#signal = signal;
  }

  static async open(
    folder: string,
    suite: DebianSuite,
    platform: NativePlatform,
    signal?: AbortSignal,
  ): Promise<SuiteApt> {
    const targets = await runCommand('apt-get', ['indextargets', '--format', TARGET_FORMAT, 'Created-By: Packages'], {
      signal,
    });
    const mirror = chooseDebianMirror(parseIndexTargets(targets));
    if (mirror === null) throw unsupportedSystem('apt has no Debian mirror configured');
    const keyring = findDebianKeyring();
    if (keyring === null)
      throw unsupportedSystem('the Debian archive keyring (package debian-archive-keyring) is missing');
    const transport = selectTransportSettings(await runCommand('apt-config', ['dump'], { signal }));
    for (const part of ['state/lists/partial', 'cache/archives/partial', 'etc/parts', 'etc/preferences'])
      mkdirSync(join(folder, part), { recursive: true });
    writeFileSync(join(folder, 'state/status'), '');
    const source = `deb [arch=${platform.debian} signed-by=${keyring} check-valid-until=no] ${mirror} ${suite} main\n`;
    writeFileSync(join(folder, 'etc/sources.list'), source);
    const configuration = join(folder, 'apt.conf');
    writeFileSync(configuration, [...transport, ...describeFolders(folder, platform)].join('\n') + '\n', {
      mode: 0o600,
    });
    return new SuiteApt(configuration, join(folder, 'cache/archives'), signal);
  }

  async update(): Promise<void> {
    await this.#run('apt-get', ['-q', 'update']);
  }

  /** The version that apt would take of each package; a package that the suite lacks is missing from the map. */
  async findCandidates(packages: readonly string[]): Promise<Map<string, string>> {
    return parseCandidates(await this.#run('apt-cache', ['policy', ...packages]));
  }

  /** The closure as files in the archive folder; `bytes` still have to be downloaded. */
  async plan(specifications: readonly string[]): Promise<{ files: string[]; bytes: number }> {
    const all = parsePrintedUris(
      await this.#install(['--print-uris', '-o', `Dir::Cache::archives=none/`, ...specifications]),
    );
    const missing = all.filter(({ file }) => !existsSync(join(this.#archives, file)));
    return {
      files: all.map(({ file }) => join(this.#archives, file)),
      bytes: missing.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  async download(specifications: readonly string[]): Promise<void> {
    await this.#install(['--download-only', ...specifications]);
  }

  #install(args: readonly string[]): Promise<string> {
    return this.#run('apt-get', ['-qq', '-y', '--no-install-recommends', 'install', ...args]);
  }

  #run(command: string, args: readonly string[]): Promise<string> {
    return runCommand(command, args, { environment: this.#environment, signal: this.#signal });
  }
}

function describeFolders(folder: string, platform: NativePlatform): string[] {
  return [
    `Dir::State "${folder}/state";`,
    `Dir::State::status "${folder}/state/status";`,
    `Dir::Cache "${folder}/cache";`,
    `Dir::Etc::sourcelist "${folder}/etc/sources.list";`,
    `Dir::Etc::sourceparts "-";`,
    `Dir::Etc::parts "${folder}/etc/parts";`,
    `Dir::Etc::main "-";`,
    `Dir::Etc::preferencesparts "${folder}/etc/preferences";`,
    `Dir::Etc::preferences "-";`,
    `APT::Architecture "${platform.debian}";`,
    `APT::Architectures { "${platform.debian}"; };`,
    `APT::Install-Recommends "false";`,
    // as root apt would drop to its own user, who can't read a cache below a private home folder
    ...(process.getuid?.() === 0 ? ['APT::Sandbox::User "root";'] : []),
    `Acquire::Languages "none";`,
    `Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";`,
    `Acquire::Retries "3";`,
    `Debug::NoLocking "true";`,
  ];
}

export function parseCandidates(policy: string): Map<string, string> {
  const candidates = new Map<string, string>();
  let name = '';
  for (const line of policy.split('\n')) {
    name = /^(\S+):$/.exec(line)?.[1] ?? name;
    const version = /^ {2}Candidate: (\S+)/.exec(line)?.[1];
    if (version !== undefined && version !== '(none)') candidates.set(name, version);
  }
  return candidates;
}

/** Lines of `apt-get --print-uris`: `'uri' file size hash`. */
export function parsePrintedUris(text: string): { file: string; bytes: number }[] {
  return text.split('\n').flatMap((line) => {
    const match = /^'[^']+' (\S+) (\d+) \S+/.exec(line);
    return match?.[1] === undefined ? [] : [{ file: match[1], bytes: Number(match[2]) }];
  });
}
