import { existsSync, mkdirSync } from 'node:fs';
import { DittoError } from '#kernel';
import type { MemberName } from '../server-name.ts';
import { findCacheFolder } from './cache.ts';
import {
  type DebianRuntime,
  findServerRuntime,
  findMariaDbRuntime,
  type PreparationContext,
  prepareMariaDbRuntime,
  prepareServerRuntime,
} from './debian-runtime.ts';
import { prepareFerretDb } from './ferretdb-runtime.ts';
import { isKafkaPrepared, type KafkaRuntime, prepareKafka } from './kafka-runtime.ts';
import { prepareMariaDbTemplate } from './mariadb-template.ts';
import { preparePostgresTemplate } from './postgres-template.ts';
import { prepareMySqlTemplate } from './mysql-template.ts';
import { detectPlatform } from './platform.ts';
import { ensureTools, type ToolName } from './tools.ts';

/** What the asked servers run from. Asking for a part that they don't need throws. */
export interface Runtimes {
  readonly cache: string;
  debian(): DebianRuntime;
  mySqlTemplate(): string;
  postgresTemplate(): string;
  ferretDb(): string;
  kafka(): KafkaRuntime;
  mariaDb(): DebianRuntime;
  mariaDbTemplate(): string;
}

/** Finds in the cache, or downloads and builds, whatever these servers need. Downloads run side by side. */
export async function prepareRuntimes(
  members: readonly MemberName[],
  write: (line: string) => void,
  environment: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<Runtimes> {
  const failed = new AbortController();
  const context: PreparationContext = {
    cache: findCacheFolder(environment),
    platform: detectPlatform(),
    write,
    signal: signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal]),
  };
  mkdirSync(context.cache, { recursive: true });
  const needs = {
    mySql: members.some((member) => member.startsWith('mysql-')),
    kafka: members.some((member) => member.startsWith('kafka-')),
    mongo: members.includes('mongo'),
    mariaDb: members.includes('mariadb'),
    debian: members.some((member) => !member.startsWith('kafka-') && member !== 'mariadb'),
  };
  await ensureTools(listTools(needs, context), write, { signal });
  const debian = needs.debian ? prepareServerRuntime(context) : null;
  const mariaDb = needs.mariaDb ? prepareMariaDbRuntime(context) : null;
  const [runtime, mySqlTemplate, postgresTemplate, ferretDb, kafka, mariaDbRuntime, mariaDbTemplate] =
    await settleTogether(failed, [
      debian,
      needs.mySql ? debian?.then((ready) => prepareMySqlTemplate(ready, context)) : null,
      needs.mongo ? debian?.then((ready) => preparePostgresTemplate(ready, context)) : null,
      needs.mongo ? prepareFerretDb(context) : null,
      needs.kafka ? prepareKafka(context) : null,
      mariaDb,
      mariaDb?.then((ready) => prepareMariaDbTemplate(ready, context)),
    ] as const);
  return {
    cache: context.cache,
    debian: () => demand(runtime, 'the Debian packages'),
    mySqlTemplate: () => demand(mySqlTemplate, 'the MySQL template'),
    postgresTemplate: () => demand(postgresTemplate, 'the PostgreSQL template'),
    ferretDb: () => demand(ferretDb, 'FerretDB'),
    kafka: () => demand(kafka, 'Kafka'),
    mariaDb: () => demand(mariaDbRuntime, 'the MariaDB packages'),
    mariaDbTemplate: () => demand(mariaDbTemplate, 'the MariaDB template'),
  };
}

/** The first failure ends the other work; it is thrown when all has ended. */
async function settleTogether<T extends readonly unknown[]>(
  failed: AbortController,
  work: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const all = Promise.all(work);
  all.catch((error: unknown) => failed.abort(error));
  await Promise.allSettled(work);
  return all;
}

function listTools(
  needs: { kafka: boolean; mongo: boolean; debian: boolean; mariaDb: boolean },
  context: PreparationContext,
): ToolName[] {
  const missingDebian =
    (needs.debian && !existsSync(findServerRuntime(context).root)) ||
    (needs.mariaDb && !existsSync(findMariaDbRuntime(context).root));
  return [
    'flock',
    ...(needs.mongo && process.getuid?.() === 0 ? (['setpriv'] as const) : []),
    ...(needs.kafka ? (['java'] as const) : []),
    ...(needs.kafka && !isKafkaPrepared(context) ? (['mvn'] as const) : []),
    ...(missingDebian ? (['debian-archive-keyring'] as const) : []),
  ];
}

function demand<T>(part: T | null | undefined, what: string): T {
  if (part === null || part === undefined)
    throw new DittoError('DITTO_STACK_NOT_PREPARED', `${what} were not prepared for this stack.`);
  return part;
}
