import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../command.ts';
import { buildOnce } from './cache.ts';
import type { DebianRuntime, PreparationContext } from './debian-runtime.ts';
import { Progress } from './progress.ts';

/** An initialised data folder with the time-zone tables filled; gives its path. */
export async function prepareMySqlTemplate(runtime: DebianRuntime, context: PreparationContext): Promise<string> {
  const template = `${runtime.root}-mysql`;
  const progress = new Progress('MySQL', context.write);
  await buildOnce(template, progress, async (temporary) => {
    progress.line('initialising a data folder');
    const share = join(runtime.root, 'usr/share/mysql');
    const [zonesCommand, zonesArgs] = runtime.command('usr/bin/mysql_tzinfo_to_sql', [
      join(runtime.root, 'usr/share/zoneinfo'),
    ]);
    const zones = await runCommand(zonesCommand, zonesArgs, { signal: context.signal });
    const zonesFile = join(temporary, 'zones.sql');
    writeFileSync(zonesFile, `USE mysql;\n${zones}\n`);
    const data = join(temporary, 'data');
    mkdirSync(data);
    const [command, args] = runtime.command('usr/sbin/mysqld', [
      '--no-defaults',
      ...(process.getuid?.() === 0 ? ['--user=root'] : []),
      `--basedir=${join(runtime.root, 'usr')}`,
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${join(share, 'charsets')}`,
      '--innodb-redo-log-capacity=64M',
      '--secure-file-priv=NULL',
      `--datadir=${data}`,
      '--initialize-insecure',
      `--init-file=${zonesFile}`,
    ]);
    await progress.watch(
      () => 'initialising a data folder',
      runCommand(command, args, { signal: context.signal, environment: { ...process.env, TZ: 'UTC', LC_ALL: 'C' } }),
    );
    rmSync(join(data, 'auto.cnf'), { force: true });
    rmSync(zonesFile);
    progress.line(`ready after ${progress.seconds()}`);
  });
  return join(template, 'data');
}
