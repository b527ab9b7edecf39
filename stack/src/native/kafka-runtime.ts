import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DittoError } from '#kernel';
import { runCommand } from '../command.ts';
import { findFreePorts } from '../free-ports.ts';
import { buildOnce } from './cache.ts';
import type { PreparationContext } from './debian-runtime.ts';
import { formatKafkaProperties } from './kafka-properties.ts';
import { askBrokers } from './kafka-probe.ts';
import { startProcess, waitUntilReady } from './managed-process.ts';
import { signalProcess, waitForExit } from '../process-identity.ts';
import { formatMegabytes, Progress } from './progress.ts';
import { readJavaVersion } from './tools.ts';

const definitionFolder = join(import.meta.dirname, '../../native/kafka');

/** Jars, class-data archive and the formatted storage that every broker starts from. */
export class KafkaRuntime {
  readonly libraries: string;
  readonly archiveFolder: string;

  constructor(libraries: string, archiveFolder: string) {
    this.libraries = libraries;
    this.archiveFolder = archiveFolder;
  }

  get bootstrapCheckpoint(): string {
    return join(this.archiveFolder, 'bootstrap.checkpoint');
  }

  /** Arguments of `java` for a main class of Kafka. */
  javaArguments(mainClass: string, args: readonly string[], virtualMachine: readonly string[] = []): string[] {
    const archive = join(this.archiveFolder, 'kafka.jsa');
    return [
      '-Xms64m',
      '-Xmx256m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Djava.awt.headless=true',
      '-XX:-UsePerfData', // else a file below /tmp
      `-Dlog4j2.configurationFile=file:${join(this.libraries, 'log4j2.properties')}`,
      ...(existsSync(archive) ? [`-XX:SharedArchiveFile=${archive}`, '-Xshare:auto'] : []),
      ...virtualMachine,
      '-cp',
      readdirSync(this.libraries)
        .filter((name) => name.endsWith('.jar'))
        .sort()
        .map((name) => join(this.libraries, name))
        .join(':'),
      mainClass,
      ...args,
    ];
  }
}

function readPinnedHashes(): Map<string, string> {
  const lines = readFileSync(join(definitionFolder, 'jars.sha256'), 'utf8').trim().split('\n');
  return new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)]));
}

function librariesFolder(context: PreparationContext): string {
  const pins = createHash('sha256')
    .update(readFileSync(join(definitionFolder, 'jars.sha256')))
    .digest('hex')
    .slice(0, 12);
  return join(context.cache, `kafka-${pins}`);
}

/** Whether only Java is needed, no Maven. */
export function isKafkaPrepared(context: PreparationContext): boolean {
  return existsSync(librariesFolder(context));
}

export async function prepareKafka(context: PreparationContext): Promise<KafkaRuntime> {
  const libraries = librariesFolder(context);
  const progress = new Progress('Kafka', context.write);
  await buildOnce(libraries, progress, (temporary) => downloadJars(temporary, progress, context.signal));
  const java = await readJavaVersion();
  const archiveFolder = `${libraries}-java-${java?.full ?? 'unknown'}`;
  await buildOnce(archiveFolder, progress, (temporary) => trainArchive(libraries, temporary, progress, context.signal));
  return new KafkaRuntime(libraries, archiveFolder);
}

async function downloadJars(folder: string, progress: Progress, signal?: AbortSignal): Promise<void> {
  const repository = join(folder, 'repository');
  let downloaded = 0;
  progress.line('downloading jars with Maven');
  const work = runCommand(
    'mvn',
    [
      '-B',
      '-f',
      join(definitionFolder, 'pom.xml'),
      `-Dmaven.repo.local=${repository}`,
      'dependency:copy-dependencies',
      '-DincludeScope=runtime',
      `-DoutputDirectory=${folder}`,
    ],
    {
      signal,
      onLine: (line) => {
        if (line.includes('Downloaded from')) downloaded++;
      },
    },
  );
  await progress.watch(() => `${downloaded} files`, work);
  assertHashes(folder, readPinnedHashes());
  rmSync(repository, { recursive: true, force: true });
  copyFileSync(join(definitionFolder, 'log4j2.properties'), join(folder, 'log4j2.properties'));
  const bytes = readdirSync(folder).reduce((sum, name) => sum + readFileSync(join(folder, name)).length, 0);
  progress.line(`jars checked, ${formatMegabytes(bytes)}, after ${progress.seconds()}`);
}

/** Every pinned jar is there with its hash, and no other. */
function assertHashes(folder: string, pinned: ReadonlyMap<string, string>): void {
  const present = readdirSync(folder).filter((name) => name.endsWith('.jar'));
  const wrong = [
    ...[...pinned.keys()].filter((name) => !present.includes(name)).map((name) => `${name} is missing`),
    ...present.flatMap((name) => {
      const hash = createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex');
      return pinned.get(name) === hash ? [] : [`${name} has hash ${hash}, pinned is ${pinned.get(name) ?? 'none'}`];
    }),
  ];
  if (wrong.length > 0)
    throw new DittoError(
      'DITTO_STACK_HASH_MISMATCH',
      `Downloaded Kafka jars are not those that were tested: ${wrong.join('; ')}.`,
      {
        context: { wrong },
        remedy: 'Check the Maven repository that this machine uses; nothing was kept.',
      },
    );
}

/**
 * Starts one throw-away broker: its orderly exit writes the class-data archive that halves the start of all later
 * ones, and its formatted storage is what they are started from.
 */
async function trainArchive(
  libraries: string,
  folder: string,
  progress: Progress,
  signal?: AbortSignal,
): Promise<void> {
  progress.line('preparing the class-data archive');
  const runtime = new KafkaRuntime(libraries, folder);
  const [port = 0, controllerPort = 0] = await findFreePorts(2);
  const work = join(folder, 'training');
  const properties = join(work, 'server.properties');
  mkdirSync(work);
  writeFileSync(
    properties,
    formatKafkaProperties({ nodeId: 1, port, controllerPorts: [controllerPort], folder: work }),
  );
  const format = ['format', '-t', 'MkU3OEVBNTcwNTJENDM2Qg', '-c', properties];
  await runCommand('java', runtime.javaArguments('kafka.tools.StorageTool', format), { signal });
  copyFileSync(join(work, 'data/bootstrap.checkpoint'), runtime.bootstrapCheckpoint);
  const archive = join(work, 'kafka.jsa');
  const logFile = join(work, 'broker.log');
  const archiving = [`-XX:ArchiveClassesAtExit=${archive}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off'];
  const broker = startProcess({
    command: 'java',
    args: runtime.javaArguments('kafka.Kafka', [properties], archiving),
    logFile,
  });
  try {
    await waitUntilReady({
      what: 'the training broker',
      process: broker,
      logFile,
      timeoutMs: 90_000,
      signal,
      probe: async () => (await askBrokers(port)).includes(1),
    });
  } finally {
    signalProcess(broker.identity, 'SIGTERM');
    await waitForExit([broker.identity], 60_000);
  }
  copyFileSync(archive, join(folder, 'kafka.jsa'));
  rmSync(work, { recursive: true, force: true });
  progress.line(`ready after ${progress.seconds()}`);
}
