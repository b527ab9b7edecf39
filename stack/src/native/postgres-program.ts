import { chmodSync, chownSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import type { DebianRuntime } from './debian-runtime.ts';

/** Superuser of the cluster, and so the first user of MongoDB's protocol. */
export const POSTGRES_ADMINISTRATOR = 'ditto';

/** The account ("nobody") that owns the cluster where this process is root, which PostgreSQL refuses. */
const POSTGRES_USER_ID = 65_534;

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

export function giveToPostgresUser(folder: string): void {
  chmodSync(folder, 0o700);
  if (isRoot()) chownSync(folder, POSTGRES_USER_ID, POSTGRES_USER_ID);
}

/**
 * As root, runs under another account, with the right to pass folders that this one couldn't enter: data and cache may
 * lie below a private home folder.
 */
export function postgresCommand(
  runtime: DebianRuntime,
  program: string,
  args: readonly string[],
): { command: string; args: string[]; environment: NodeJS.ProcessEnv } {
  const path = join(runtime.postgres, 'bin', program);
  const environment = { ...process.env, LC_ALL: 'C', TZ: 'GMT' };
  if (!isRoot()) return { command: path, args: [...args], environment };
  const identity = ['--reuid', `${POSTGRES_USER_ID}`, '--regid', `${POSTGRES_USER_ID}`, '--clear-groups'];
  const rights = mayPassRights()
    ? ['--securebits', '+no_setuid_fixup', '--inh-caps', '+dac_override', '--ambient-caps', '+dac_override']
    : [];
  return { command: 'setpriv', args: [...identity, ...rights, path, ...args], environment };
}

/**
 * Whether this root has CAP_DAC_OVERRIDE (bit 1) to pass on and CAP_SETPCAP (bit 8) for the secure bit, without which
 * access(2) would deny what the right allows; see capabilities(7). Where it hasn't, the folders must be open to all.
 */
function mayPassRights(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const needed = (1n << 1n) | (1n << 8n);
  return (BigInt(`0x${effective}`) & needed) === needed;
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
    POSTGRES_ADMINISTRATOR,
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
