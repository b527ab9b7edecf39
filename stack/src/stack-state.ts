import { existsSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KafkaBrokerCount, MemberName } from './server-name.ts';
import type { Durability } from './stack.ts';

/** What another process needs to take over a native stack; the processes are recorded beside each server's data. */
export interface NativeStackState {
  readonly kind: 'native';
  readonly members: readonly MemberName[];
  readonly durability: Durability;
  /** The cache folder that the servers run from. */
  readonly cache: string;
  readonly manyPartitions: boolean;
  readonly ports: Readonly<Partial<Record<MemberName, number>>>;
  readonly controllerPorts: readonly number[];
  readonly postgresPort: number;
  readonly password: string;
  readonly clusterId: string;
}

export interface DockerStackState {
  readonly kind: 'docker';
  readonly members: readonly MemberName[];
  /** Compose project, unique to the folder. */
  readonly project: string;
  readonly kafkaBrokers: KafkaBrokerCount;
  readonly manyPartitions: boolean;
  readonly ports: Readonly<Partial<Record<MemberName, number>>>;
  readonly password: string;
  readonly clusterId: string;
}

export type StackState = NativeStackState | DockerStackState;

const STATE_FILE_NAME = 'stack.json';

/** Null when the folder holds no stack. */
export function readStackState(folder: string): StackState | null {
  const file = join(folder, STATE_FILE_NAME);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as StackState) : null;
}

/** The file holds the administrator's password: only the owner may read it. */
export function writeStackState(folder: string, state: StackState): void {
  const file = join(folder, STATE_FILE_NAME);
  writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

/** Removes the folder too, unless it holds what no stack made. */
export function removeStackState(folder: string): void {
  rmSync(join(folder, STATE_FILE_NAME), { force: true });
  try {
    rmdirSync(folder);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
