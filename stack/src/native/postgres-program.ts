import { chmodSync, chownSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import type { DebianRuntime } from './debian-runtime.ts';

/** Superuser of the cluster, and so the first user of MongoDB's protocol. */
export const postgresAdministrator = 'ditto';

/** The account that owns the cluster where this process is root, which PostgreSQL refuses. */
const postgresUser = { name: 'nobody', id: 65_534 };

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

export function giveToPostgresUser(folder: string): void {
  chmodSync(folder, 0o700);
  if (isRoot()) chownSync(folder, postgresUser.id, postgresUser.id);
}

/**
 * As root, runs under another account that keeps only the right to pass folders it couldn't enter (the data may lie
 * below a private home folder).
 */
export function postgresCommand(
  runtime: DebianRuntime,
  program: string,
  args: readonly string[],
): { command: string; args: string[]; environment: NodeJS.ProcessEnv } {
  const path = join(runtime.postgres, 'bin', program);
  const environment = { ...process.env, LC_ALL: 'C', TZ: 'GMT' };
  if (!isRoot()) return { command: path, args: [...args], environment };
  const identity = ['--reuid', `${postgresUser.id}`, '--regid', `${postgresUser.id}`, '--clear-groups'];
  // without the secure bit access(2) would deny what the right allows, see capabilities(7)
  const rights = ['--securebits', '+no_setuid_fixup', '--inh-caps', '+dac_override', '--ambient-caps', '+dac_override'];
  return { command: 'setpriv', args: [...identity, ...rights, path, ...args], environment };
}

export async function runSql(
  runtime: DebianRuntime,
  sockets: string,
  port: number,
  sql: string,
  signal?: AbortSignal,
): Promise<void> {
  const { command, args, environment } = postgresCommand(runtime, 'psql', [
    '-q',
    '-X',
    '-h',
    sockets,
    '-p',
    `${port}`,
    '-U',
    postgresAdministrator,
    '-d',
    'postgres',
    '-v',
    'ON_ERROR_STOP=1',
  ]);
  await runCommand(command, args, { input: `${sql};\n`, environment, folder: '/', signal });
}

/** Lines 1 and 8 of `postmaster.pid` are the process and its state, as pg_ctl reads them; a killed server leaves the file. */
export function isPostgresReady(data: string, pid: number): boolean {
  const file = join(data, 'postmaster.pid');
  if (!existsSync(file)) return false;
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines[0]?.trim() === `${pid}` && lines[7]?.trim() === 'ready';
}
