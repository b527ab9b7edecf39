import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createConnection } from 'mysql2/promise';
import { attachStack, type ServerName, type Stack, startStack } from '#stack';
import { clientFor, readGtidExecuted, waitForReplica } from './stack-clients.ts';

const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('DITTO_STACK_')),
);
const sourceFlags = ['--conditions=source', '--disable-warning=ExperimentalWarning'];
const base = mkdtempSync(join(tmpdir(), 'ditto-stack-'));

afterAll(() => rmSync(base, { recursive: true, force: true }));

/** Processes whose command line or working folder lies in the folder of a stack. */
function listProcessesOf(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const running = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.startsWith('Z') === false;
      return running && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(folder);
    } catch {
      return false; // ended meanwhile
    }
  });
}

/** Runs a module text in another Node process and gives what it writes. */
async function runElsewhere(text: string): Promise<string> {
  const child = spawn(process.execPath, [...sourceFlags, '--input-type=module-typescript', '-e', text], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...environment, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  await once(child, 'close');
  return output;
}

describe('a stack of its own', () => {
  const folder = join(base, 'full');
  const lines: string[] = [];
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({ folder, environment, onProgress: (line) => lines.push(line) });
  }, 900_000);
  afterAll(() => stack.down(), 60_000);

  const single = ['mysql-primary', 'mysql-state', 'kafka-1', 'mongo', 'redis'] as const;

  it.each(single)(
    '%s keeps its data and its port when it is killed and started again, and when it is restarted',
    async (member) => {
      const client = clientFor(member);
      const url = stack.url(member);
      await client.write(url, 'before the kill');
      await stack.kill(member);
      expect(await stack.isRunning(member)).toBe(false);
      await stack.start(member);
      expect(stack.url(member)).toBe(url);
      expect(await client.read(url)).toEqual(['before the kill']);
      await client.write(url, 'before the restart');
      await stack.restart(member);
      expect(await client.read(url)).toEqual(['before the kill', 'before the restart']);
    },
    120_000,
  );

  it('the replica follows the primary, also after either was killed', async () => {
    for (const victim of ['mysql-primary', 'mysql-replica'] as const) {
      await stack.kill(victim);
      await stack.start(victim);
      await clientFor('mysql-primary').write(stack.url('mysql-primary'), `after ${victim}`);
      await waitForReplica(stack);
      expect((await clientFor('mysql-replica').read(stack.url('mysql-replica'))).at(-1)).toBe(`after ${victim}`);
    }
    expect(await readGtidExecuted(stack, 'mysql-replica')).toBe(await readGtidExecuted(stack, 'mysql-primary'));
  }, 60_000);

  it('the replica refuses writes', async () => {
    await expect(clientFor('mysql-replica').write(stack.url('mysql-replica'), 'x')).rejects.toMatchObject({
      code: 'ER_OPTION_PREVENTS_STATEMENT',
    });
  });

  it('the primary writes a full row log', async () => {
    const connection = await createConnection(stack.url('mysql-primary'));
    const [[settings]] = (await connection.query(
      'SELECT @@gtid_mode AS gtid, @@binlog_format AS format, @@binlog_row_image AS image, @@binlog_row_metadata AS metadata',
    )) as unknown as [[Record<string, string>]];
    await connection.end();
    expect(settings).toEqual({ gtid: 'ON', format: 'ROW', image: 'FULL', metadata: 'FULL' });
  });

  it.each(single)(
    '%s answers nothing while it is frozen and continues when it is thawed',
    async (member) => {
      const client = clientFor(member);
      const before = await client.read(stack.url(member));
      await stack.freeze(member);
      expect(await stack.isRunning(member)).toBe(true);
      const answer = client.read(stack.url(member));
      const silence = new Promise((resolve) => setTimeout(() => resolve('silence'), 400));
      expect(await Promise.race([answer, silence])).toBe('silence');
      await stack.thaw(member);
      expect(await answer).toEqual(before);
    },
    60_000,
  );

  it('can be taken over by another process', async () => {
    const output = await runElsewhere(`
      import { attachStack } from '#stack';
      const stack = await attachStack(${JSON.stringify(folder)});
      await stack.kill('redis');
      process.stdout.write(stack.url('redis'));
    `);
    expect(output).toBe(stack.url('redis'));
    expect(await stack.isRunning('redis')).toBe(false);
    await stack.start('redis');
    expect(await clientFor('redis').read(output)).toHaveLength(2);
  }, 60_000);

  it('continues with its data when it is started again in its folder', async () => {
    await stack.kill('mongo');
    const again = await startStack({ folder, environment });
    expect(again.urls()).toEqual(stack.urls());
    expect(await clientFor('mongo').read(again.url('mongo'))).toHaveLength(2);
    await expect(startStack({ folder, environment, kafkaBrokers: 3 })).rejects.toMatchObject({
      code: 'DITTO_STACK_OTHER_SERVERS',
    });
  }, 60_000);

  it('keeps its password to its owner', () => {
    if (stack.kind === 'native') expect(statSync(join(folder, 'stack.json')).mode & 0o077).toBe(0);
  });

  it('leaves no process and no folder behind', async () => {
    await stack.down();
    expect(listProcessesOf(folder)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
    await expect(attachStack(folder, environment)).rejects.toMatchObject({ code: 'DITTO_STACK_NOT_FOUND' });
  }, 60_000);
});

describe('MariaDB', () => {
  it('is started when it is asked for, writes a full row log with GTIDs, and keeps its data when it is killed', async () => {
    const stack = await startStack({ folder: join(base, 'mariadb'), environment, servers: ['mariadb'] });
    try {
      expect(stack.members).toEqual(['mariadb']);
      const client = clientFor('mariadb');
      await client.write(stack.url('mariadb'), 'before the kill');
      await stack.kill('mariadb');
      await stack.start('mariadb');
      await stack.restart('mariadb');
      expect(await client.read(stack.url('mariadb'))).toEqual(['before the kill']);
      const connection = await createConnection(stack.url('mariadb'));
      const [[settings]] = (await connection.query(
        `SELECT @@gtid_binlog_pos AS position, @@gtid_strict_mode AS strict, @@binlog_format AS format,
                @@binlog_row_image AS image, @@binlog_row_metadata AS metadata`,
      )) as unknown as [[Record<string, string>]];
      await connection.end();
      expect(settings).toEqual({ position: '0-4-3', strict: 1, format: 'ROW', image: 'FULL', metadata: 'FULL' });
    } finally {
      await stack.down();
    }
  }, 300_000);
});

describe('stacks side by side', () => {
  const servers: ServerName[] = ['redis'];

  it('do not touch each other, nor files that are not theirs', async () => {
    const folders = ['left', 'right'].map((name) => join(base, name));
    const [left, right] = await Promise.all(folders.map((folder) => startStack({ folder, environment, servers })));
    if (left === undefined || right === undefined) throw new Error('unreachable');
    await clientFor('redis').write(left.url('redis'), 'left');
    await clientFor('redis').write(right.url('redis'), 'right');
    writeFileSync(join(left.folder, 'notes.txt'), 'mine');
    await left.down();
    expect(readdirSync(left.folder)).toEqual(['notes.txt']);
    expect(await clientFor('redis').read(right.url('redis'))).toEqual(['right']);
    await right.down({ keepData: true });
    const again = await startStack({ folder: right.folder, environment, servers });
    expect(await clientFor('redis').read(again.url('redis'))).toEqual(['right']);
    await again.down();
    expect(existsSync(right.folder)).toBe(false);
  }, 60_000);

  it('are ended by a later process when their owner was killed', async () => {
    const folder = join(base, 'orphan');
    await runElsewhere(`
      import { startStack } from '#stack';
      await startStack({ folder: ${JSON.stringify(folder)}, servers: ['redis'] });
      process.kill(process.pid, 'SIGKILL');
    `);
    const stack = await attachStack(folder, environment);
    expect(await stack.isRunning('redis')).toBe(true);
    await stack.down();
    expect(listProcessesOf(folder)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  }, 60_000);
});

describe('three Kafka brokers', () => {
  it('lose one without losing a message, and take it back', async () => {
    const folder = join(base, 'brokers');
    const stack = await startStack({ folder, environment, servers: ['kafka'], kafkaBrokers: 3 });
    try {
      const client = clientFor('kafka-1');
      expect(stack.url('kafka').split(',')).toHaveLength(3);
      await client.write(stack.url('kafka'), 'all');
      await stack.kill('kafka-2');
      await client.write(stack.url('kafka'), 'two');
      await stack.start('kafka-2');
      expect(await client.read(stack.url('kafka'))).toEqual(['all', 'two']);
      await stack.kill('kafka');
      await stack.start('kafka');
      expect(await client.read(stack.url('kafka'))).toEqual(['all', 'two']);
    } finally {
      await stack.down();
    }
  }, 180_000);
});
