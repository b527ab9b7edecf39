import { existsSync } from 'node:fs';
import { DittoError } from '#kernel';

export interface NativePlatform {
  /** Debian's name of the architecture. */
  readonly debian: 'amd64' | 'arm64';
  /** Folder of shared libraries below `usr/lib`. */
  readonly triplet: string;
  /** File name of the dynamic loader in that folder. */
  readonly loader: string;
}

/** Throws `DITTO_STACK_UNSUPPORTED_SYSTEM` where the native way can't work. */
export function detectPlatform(platform: string = process.platform, arch: string = process.arch): NativePlatform {
  if (platform === 'linux' && arch === 'x64')
    return { debian: 'amd64', triplet: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' };
  if (platform === 'linux' && arch === 'arm64')
    return { debian: 'arm64', triplet: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' };
  throw unsupportedSystem(`${platform} on ${arch} is neither Linux on x86-64 nor on arm64`);
}

export function unsupportedSystem(reason: string): DittoError {
  return new DittoError('DITTO_STACK_UNSUPPORTED_SYSTEM', `The servers can't be had natively here: ${reason}.`, {
    remedy:
      'Start a Docker engine that "docker info" reaches, or give the URLs of running servers (DITTO_STACK_*_URL, see stack/README.md), or use a Debian-like Linux on x86-64 or arm64.',
  });
}

/** The key that signs Debian's archive; its file name changed with Debian 13. */
export function findDebianKeyring(): string | null {
  const folder = '/usr/share/keyrings';
  return (
    [`${folder}/debian-archive-keyring.gpg`, `${folder}/debian-archive-keyring.pgp`].find((file) => existsSync(file)) ??
    null
  );
}
