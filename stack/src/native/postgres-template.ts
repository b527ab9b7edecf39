import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { findFreePorts } from '../free-ports.ts';
import { killTree } from '../process-identity.ts';
import { buildOnce } from './cache.ts';
import type { DebianRuntime, PreparationContext } from './debian-runtime.ts';
import { startProcess, waitUntilReady } from './managed-process.ts';
import {
  giveToPostgresUser,
  isPostgresReady,
  POSTGRES_ADMINISTRATOR,
  postgresCommand,
  runSql,
} from './postgres-program.ts';
import { Progress } from './progress.ts';

const CLUSTER_SETTINGS = `
listen_addresses = '127.0.0.1'
shared_preload_libraries = 'pg_cron,pg_documentdb_core,pg_documentdb'
cron.database_name = 'postgres'
cron.use_background_workers = on
cron.log_run = off
cron.log_statement = off
documentdb.enableUserCrud = true
documentdb.maxUserLimit = 100
max_connections = 100
shared_buffers = 512MB
max_wal_size = 1GB
wal_compression = off
jit = off
# concurrent writers of the same keys deadlock in PostgreSQL; waiting the default second for each would crawl
deadlock_timeout = 20ms
timezone = 'GMT'
log_timezone = 'GMT'
include = 'stack.conf'
`;

/** A PostgreSQL cluster with the DocumentDB extension; gives its path. */
export async function preparePostgresTemplate(runtime: DebianRuntime, context: PreparationContext): Promise<string> {
  const template = `${runtime.root}-postgres`;
  const progress = new Progress('PostgreSQL', context.write);
  await buildOnce(template, progress, async (temporary) => {
    progress.line('initialising a cluster with the DocumentDB extension');
    const data = join(temporary, 'data');
    const sockets = mkdtempSync(join(tmpdir(), 'ditto-'));
    mkdirSync(data);
    giveToPostgresUser(data);
    giveToPostgresUser(sockets);
    try {
      await progress.watch(() => 'initialising a cluster', createTemplate(runtime, data, sockets, context.signal));
    } finally {
      rmSync(sockets, { recursive: true, force: true });
    }
    progress.line(`ready after ${progress.seconds()}`);
  });
  return join(template, 'data');
}

async function createTemplate(
  runtime: DebianRuntime,
  data: string,
  sockets: string,
  signal?: AbortSignal,
): Promise<void> {
  const locale = ['-E', 'UTF8', '--locale-provider=builtin', '--locale=C.UTF-8', '--no-instructions'];
  const initialise = postgresCommand(runtime, 'initdb', [
    '-D',
    data,
    '-U',
    POSTGRES_ADMINISTRATOR,
    '--auth-local=trust',
    '--auth-host=scram-sha-256',
    ...locale,
  ]);
  await runCommand(initialise.command, initialise.args, { environment: initialise.environment, folder: '/', signal });
  const [port = 0] = await findFreePorts(1);
  appendFileSync(join(data, 'postgresql.conf'), CLUSTER_SETTINGS);
  writeFileSync(
    join(data, 'stack.conf'),
    `port = ${port}\nunix_socket_directories = '${sockets}'\ndocumentdb.localhost_connection_string = 'host=${sockets}'\nfsync = off\n`,
  );
  const logFile = join(data, '..', 'postgres.log');
  const postgres = startProcess({ ...postgresCommand(runtime, 'postgres', ['-D', data]), logFile });
  try {
    await waitUntilReady({
      what: 'postgres',
      process: postgres,
      logFile,
      timeoutMs: 60_000,
      signal,
      probe: () => isPostgresReady(data, postgres.identity.pid),
    });
    await runSql(runtime, sockets, port, 'CREATE EXTENSION documentdb CASCADE', signal);
    const stop = postgresCommand(runtime, 'pg_ctl', ['-D', data, '-m', 'fast', '-w', 'stop']);
    await runCommand(stop.command, stop.args, { environment: stop.environment, folder: '/', signal });
  } finally {
    await killTree(postgres.identity);
  }
}
