import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { imageNameOf, type ServiceName } from './service-container.ts';

const root = join(import.meta.dirname, '../..');

/** The standard output of `docker …`; its standard error is this process's own. */
export async function docker(...args: readonly string[]): Promise<string> {
  const child = spawn('docker', args, {
    cwd: root,
    env: { ...process.env, DOCKER_BUILDKIT: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve, reject) => child.on('exit', resolve).on('error', reject));
  const output = await text(child.stdout);
  const code = await ended;
  if (code !== 0) throw new Error(`docker ${args.join(' ')} ended with ${code}\n${output}`);
  return output.trim();
}

/** Builds the image of a service with what npm on this machine trusts and is configured by. */
export async function buildImage(service: ServiceName): Promise<void> {
  const secrets = { npmrc: join(homedir(), '.npmrc'), ca: process.env['NODE_EXTRA_CA_CERTS'] };
  const given = Object.entries(secrets).flatMap(([id, path]) =>
    path !== undefined && existsSync(path) ? ['--secret', `id=${id},src=${path}`] : [],
  );
  const nodeImage = process.env['DITTO_NODE_IMAGE'];
  const base = nodeImage === undefined ? [] : ['--build-arg', `NODE_IMAGE=${nodeImage}`];
  await docker(
    'build',
    '--quiet',
    '--build-arg',
    `SERVICE=${service}`,
    ...base,
    ...given,
    '--tag',
    imageNameOf(service),
    '.',
  );
}

export interface ImageFacts {
  readonly Size: number;
  readonly RootFS: { readonly Layers: readonly string[] };
  readonly Config: { readonly User: string; readonly Env: readonly string[] };
}

export async function inspectImage(name: string): Promise<ImageFacts> {
  const [facts] = JSON.parse(await docker('image', 'inspect', name)) as ImageFacts[];
  if (facts === undefined) throw new Error(`no image ${name}`);
  return facts;
}

export interface ContainerState {
  readonly Status: string;
  readonly ExitCode: number;
  readonly OOMKilled: boolean;
  readonly Health?: { readonly Status: 'starting' | 'healthy' | 'unhealthy' };
}

export async function inspectState(id: string): Promise<ContainerState> {
  return JSON.parse(await docker('inspect', '--format', '{{json .State}}', id)) as ContainerState;
}
