import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { detectPlatform } from './platform.ts';
import { ensureTools, isRecentGo, parseJavaVersion } from './tools.ts';

describe('versions of tools', () => {
  it('reads the Java version, old numbering too', () => {
    expect(parseJavaVersion('openjdk version "17.0.15" 2025-04-15')).toEqual({ major: 17, full: '17.0.15' });
    expect(parseJavaVersion('java version "1.8.0_402"')?.major).toBe(8);
    expect(parseJavaVersion('command not found')).toBeNull();
  });

  it('takes Go from 1.25 on', () => {
    expect(isRecentGo('go version go1.26.8 linux/amd64')).toBe(true);
    expect(isRecentGo('go version go1.19.8 linux/amd64')).toBe(false);
    expect(isRecentGo('go version go2.0 linux/arm64')).toBe(true);
  });
});

describe('detectPlatform', () => {
  it('serves Linux on x86-64 and arm64 and refuses others with one coded error', () => {
    expect(detectPlatform('linux', 'x64').triplet).toBe('x86_64-linux-gnu');
    expect(detectPlatform('linux', 'arm64').loader).toBe('ld-linux-aarch64.so.1');
    for (const [platform, arch] of [
      ['darwin', 'arm64'],
      ['linux', 'riscv64'],
    ] as const)
      expect(() => detectPlatform(platform, arch)).toThrow(
        expect.objectContaining({ code: 'DITTO_STACK_UNSUPPORTED_SYSTEM' }),
      );
  });
});

describe('missing tools', () => {
  const path = process.env['PATH'];
  let folder: string;

  const fake = (name: string, script: string): void => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ditto-tools-'));
    process.env['PATH'] = folder;
  });
  afterEach(() => {
    process.env['PATH'] = path;
    rmSync(folder, { recursive: true, force: true });
  });

  it('are all named in one error with the command that installs them, where this process may not install', async () => {
    fake('apt-get', 'exit 0');
    fake('dpkg-deb', 'exit 0');
    await expect(ensureTools(['java', 'mvn'], () => undefined, { mayInstall: false })).rejects.toMatchObject({
      code: 'DITTO_STACK_TOOLS_MISSING',
      message: 'Missing: Java 17 or newer, Maven.',
      remedy: expect.stringContaining('apt-get install default-jre-headless maven') as unknown as string,
    });
  });

  it('count as missing when they are too old', async () => {
    fake('apt-get', 'exit 0');
    fake('dpkg-deb', 'exit 0');
    fake('java', 'echo \'openjdk version "11.0.2" 2019\' >&2');
    await expect(ensureTools(['java'], () => undefined, { mayInstall: false })).rejects.toMatchObject({
      message: 'Missing: Java 17 or newer.',
    });
  });

  it('are installed with apt where that is permitted', async () => {
    fake('dpkg-deb', 'exit 0');
    fake(
      'apt-get',
      `case "$*" in *install*maven*) printf '#!/bin/sh\\nexit 0\\n' > ${folder}/mvn; /bin/chmod 755 ${folder}/mvn;; esac`,
    );
    const lines: string[] = [];
    await ensureTools(['mvn'], (line) => lines.push(line), { mayInstall: true });
    expect(lines[0]).toBe('Tools: installing maven with apt');
  });

  it('are an unsupported system where there is no apt', async () => {
    await expect(ensureTools(['java'], () => undefined, { mayInstall: true })).rejects.toMatchObject({
      code: 'DITTO_STACK_UNSUPPORTED_SYSTEM',
    });
  });
});
