import { resolve } from 'node:path';
import { DittoError } from '#kernel';
import { canReachDocker, DockerStack } from './docker-stack.ts';
import { GivenStack, readGivenUrls } from './given-stack.ts';
import { NativeStack } from './native/native-stack.ts';
import { defaultServers, expandServers } from './server-name.ts';
import type { Stack, StackOptions } from './stack.ts';
import { readStackState, type StackState } from './stack-state.ts';

/** Forces `native` or `docker` where both are possible. */
export const KIND_VARIABLE = 'DITTO_STACK_KIND';

/**
 * Servers had in this order: URLs in the environment (see `urlVariables`), Docker when an engine answers, natively from
 * package registries. A stack that the folder holds already is used again, whichever of its servers run.
 *
 * Errors: `DITTO_STACK_URL_MISSING`, `DITTO_STACK_UNSUPPORTED_SYSTEM`, `DITTO_STACK_TOOLS_MISSING`,
 * `DITTO_STACK_COMMAND_FAILED`, `DITTO_STACK_START_FAILED`. Servers that this call started are ended again; their
 * folder stays, for the logs, until `attachStack(folder)` and `down`.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const environment = options.environment ?? process.env;
  const folder = resolve(options.folder);
  const urls = readGivenUrls(options.servers ?? defaultServers, environment);
  if (urls !== null) return new GivenStack(folder, urls);
  const earlier = readStackState(folder);
  if (earlier !== null) assertSameServers(earlier, options);
  const kind = earlier?.kind ?? (await chooseKind(environment));
  return kind === 'docker' ? DockerStack.start({ ...options, folder }) : NativeStack.start({ ...options, folder });
}

/** The stack that another process started in this folder; `DITTO_STACK_NOT_FOUND` when there is none. */
export function attachStack(folder: string, environment: NodeJS.ProcessEnv = process.env): Promise<Stack> {
  return new Promise((done) => done(findStack(resolve(folder), environment)));
}

function findStack(folder: string, environment: NodeJS.ProcessEnv): Stack {
  const urls = readGivenUrls('those given', environment);
  if (urls !== null) return new GivenStack(folder, urls);
  const state = readStackState(folder);
  if (state === null) throw new DittoError('DITTO_STACK_NOT_FOUND', `There is no stack in ${folder}.`);
  return state.kind === 'docker' ? DockerStack.attach(folder, state) : NativeStack.attach(folder, state);
}

async function chooseKind(environment: NodeJS.ProcessEnv): Promise<'docker' | 'native'> {
  const forced = environment[KIND_VARIABLE] ?? '';
  if (forced === 'docker' || forced === 'native') return forced;
  if (forced !== '')
    throw new DittoError('DITTO_STACK_KIND_INVALID', `${KIND_VARIABLE} is "docker" or "native", not "${forced}".`);
  return (await canReachDocker()) ? 'docker' : 'native';
}

/** A folder's stack keeps the servers it was made with. */
function assertSameServers(state: StackState, { servers, kafkaBrokers, folder }: StackOptions): void {
  if (servers === undefined && kafkaBrokers === undefined) return;
  const brokers = state.members.filter((member) => member.startsWith('kafka-')).length === 3 ? 3 : 1;
  const asked = expandServers(servers ?? defaultServers, kafkaBrokers ?? brokers);
  const lacking = asked.filter((member) => !state.members.includes(member));
  if (lacking.length > 0)
    throw new DittoError(
      'DITTO_STACK_OTHER_SERVERS',
      `The stack in ${folder} was made without ${lacking.join(', ')}.`,
      {
        context: { lacking, present: state.members },
        remedy: `Take another folder, or end that stack first: npm run stack -- down --folder ${folder}`,
      },
    );
}
