import { resolve } from 'node:path';
import { DittoError } from '#kernel';
import { canReachDocker, DockerStack } from './docker-stack.ts';
import { GivenStack, readGivenUrls } from './given-stack.ts';
import { NativeStack } from './native/native-stack.ts';
import { defaultServers } from './server-name.ts';
import type { Stack, StackOptions } from './stack.ts';
import { readStackState } from './stack-state.ts';

/**
 * Servers had in this order: URLs in the environment (see `urlVariables`), Docker when an engine answers, natively from
 * package registries. A stack that the folder holds already is gone on with, whichever of its servers run.
 *
 * Errors: `DITTO_STACK_URL_MISSING`, `DITTO_STACK_UNSUPPORTED_SYSTEM`, `DITTO_STACK_TOOLS_MISSING`,
 * `DITTO_STACK_COMMAND_FAILED`, `DITTO_STACK_START_FAILED`; nothing that was started is left behind.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const environment = options.environment ?? process.env;
  const folder = resolve(options.folder);
  const urls = readGivenUrls(options.servers ?? defaultServers, environment);
  if (urls !== null) return new GivenStack(folder, urls);
  const kind = readStackState(folder)?.kind ?? ((await canReachDocker()) ? 'docker' : 'native');
  return kind === 'docker' ? DockerStack.start({ ...options, folder }) : NativeStack.start({ ...options, folder });
}

/** The stack that another process started in this folder; `DITTO_STACK_NOT_FOUND` when there is none. */
export async function attachStack(folder: string): Promise<Stack> {
  const state = readStackState(resolve(folder));
  if (state === null) throw new DittoError('DITTO_STACK_NOT_FOUND', `There is no stack in ${folder}.`);
  return state.kind === 'docker'
    ? DockerStack.attach(resolve(folder), state)
    : NativeStack.attach(resolve(folder), state);
}
