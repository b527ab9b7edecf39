import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { buildOnce } from './cache.ts';
import type { DebianRuntime, PreparationContext } from './debian-runtime.ts';
import { Progress } from './progress.ts';

/** What `mariadb-install-db` feeds to a server in bootstrap mode, in its order; the help texts are left out. */
const systemTables = [
  'mysql_system_tables.sql',
  'mysql_performance_tables.sql',
  'mysql_system_tables_data.sql',
  'maria_add_gis_sp_bootstrap.sql',
  'mysql_sys_schema.sql',
];

/** An initialised data folder; gives its path. Its only account is `root` by way of the socket. */
export async function prepareMariaDbTemplate(runtime: DebianRuntime, context: PreparationContext): Promise<string> {
  const template = `${runtime.root}-template`;
  const progress = new Progress('MariaDB', context.write);
  await buildOnce(template, progress, async (temporary) => {
    progress.line('initialising a data folder');
    const share = join(runtime.root, 'usr/share/mysql');
    const data = join(temporary, 'data');
    mkdirSync(join(data, 'mysql'), { recursive: true });
    const script = join(temporary, 'bootstrap.sql');
    const head = `USE mysql;\nSET @auth_root_socket = 'root', @skip_auth_anonymous = 1;\n`;
    writeFileSync(script, head + systemTables.map((file) => readFileSync(join(share, file), 'utf8')).join('\n'));
    const [command, args] = runtime.command('usr/sbin/mariadbd', [
      '--no-defaults',
      '--bootstrap',
      ...(process.getuid?.() === 0 ? ['--user=root'] : []),
      `--basedir=${join(runtime.root, 'usr')}`,
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${join(share, 'charsets')}`,
      `--plugin-dir=${join(runtime.root, 'usr/lib/mysql/plugin')}`,
      `--datadir=${data}`,
      '--innodb-log-file-size=64M',
      '--enforce-storage-engine=',
      '--max-allowed-packet=16M',
    ]);
    // a shell opens the script, since bootstrap mode reads standard input
    await progress.watch(
      () => 'initialising a data folder',
      runCommand('sh', ['-c', 'script="$1"; shift; exec "$@" < "$script"', 'sh', script, command, ...args], {
        signal: context.signal,
        environment: { ...process.env, TZ: 'UTC', LC_ALL: 'C' },
      }),
    );
    progress.line(`ready after ${progress.seconds()}`);
  });
  return join(template, 'data');
}
