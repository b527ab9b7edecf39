import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, type RowDataPacket } from 'mysql2/promise';
import { createTables, fill, workloadTables } from './workload.ts';
import { World, type ServiceInstance } from './world.ts';

const USER = 'reader';
let world: World;
let mysql: Connection;
let dss: ServiceInstance;
let passwordFile: string;
let nextRow = 100_000;

beforeAll(async () => {
  world = await World.create({ tables: workloadTables, ownServers: ['mysql-primary'] });
  mysql = await world.connect();
  passwordFile = join(world.folder, 'password');
  writeFileSync(passwordFile, 'first\n');
  await mysql.query(
    `CREATE USER ${USER} IDENTIFIED WITH caching_sha2_password BY 'first';
     GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO ${USER}; GRANT SELECT ON ${world.database}.* TO ${USER}`,
  );
  await createTables(world, mysql);
  await fill(mysql, 3000);
  await world.start('dcs');
  const { hostname: host, port } = new URL(world.sourceUrl);
  const endpoint = { host, port: Number(port), user: USER, password: { file: passwordFile } };
  dss = await world.start('dss', { source: { endpoints: [endpoint], snapshot: { chunkRows: 50 } } });
}, 60_000);

afterAll(() => world.close());

async function findSessions(): Promise<number[]> {
  const [rows] = await mysql.query<RowDataPacket[]>('SHOW PROCESSLIST');
  return rows.flatMap((row) => (row['User'] === USER ? [Number(row['Id'])] : []));
}

/** A session may end by itself before that. */
async function kill(sessions: readonly number[], what: 'CONNECTION' | 'QUERY' = 'CONNECTION'): Promise<void> {
  for (const id of sessions) await mysql.query(`KILL ${what} ${id}`).catch(() => undefined);
}

async function insertRow(): Promise<void> {
  await fill(mysql, 1, nextRow++);
}

async function expectCaughtUp(): Promise<void> {
  await insertRow();
  expect((await world.waitUntilCaughtUp(dss)).state).toBe('streaming');
}

async function expectStop(remedy: RegExp): Promise<void> {
  await kill(await findSessions());
  await insertRow();
  const { error } = await world.waitForStatus(dss, 'the stop', ({ state }) => state === 'failed');
  expect(error).toMatchObject({ code: 'DITTO_SOURCE_ACCESS_DENIED', remedy: expect.stringMatching(remedy) });
}

async function restart(): Promise<void> {
  const answer = await fetch(`${dss.url}/sources/${world.name}/restart`, { method: 'POST' });
  expect(answer.status).toBe(200);
  await expectCaughtUp();
}

async function expectNoDifference(): Promise<void> {
  expect((await world.compare()).samples).toEqual([]);
  expect((await world.status(dss))?.sinks['mongo']?.counters['rejectedOutsideReplay']).toBe(0);
}

it('I1, I4: kills, limits and an offline server during the copy, with an empty authentication cache, heal by themselves', async () => {
  for (let round = 0; round < 12; round++) {
    await mysql.query(`UPDATE orders SET status = 'paid' WHERE id BETWEEN ${round * 100} AND ${round * 100 + 400}`);
    if (round % 4 === 3) await mysql.query('FLUSH PRIVILEGES');
    const sessions = await findSessions();
    await kill(sessions.slice(round % Math.max(1, sessions.length)).slice(0, 2), round % 3 === 2 ? 'QUERY' : undefined);
    await sleep(100);
  }
  await mysql.query(`ALTER USER ${USER} WITH MAX_USER_CONNECTIONS 1`);
  await kill(await findSessions());
  await sleep(500);
  await mysql.query(`ALTER USER ${USER} WITH MAX_USER_CONNECTIONS 0`);
  await mysql.query('SET GLOBAL offline_mode = ON');
  await insertRow();
  const { error, pipeline } = await world.waitForStatus(dss, 'the reason of the wait', (status) =>
    `${status.error?.code ?? ''} ${status.pipeline?.lastError ?? ''}`.includes('DITTO_SOURCE_UNREACHABLE'),
  );
  expect(`${error?.message ?? ''} ${pipeline?.lastError ?? ''}`).toContain('offline mode');
  await mysql.query('SET GLOBAL offline_mode = OFF');
  await expectCaughtUp();
  await expectNoDifference();
}, 120_000);

it('I6: a changed password, a locked account and an expired password stop the source with a remedy, and a restart leads out', async () => {
  await mysql.query(`ALTER USER ${USER} IDENTIFIED BY 'second' RETAIN CURRENT PASSWORD`);
  await kill(await findSessions());
  await expectCaughtUp();
  await mysql.query(`ALTER USER ${USER} DISCARD OLD PASSWORD`);
  await expectCaughtUp();
  await expectStop(/user, password/);
  writeFileSync(passwordFile, 'second\n');
  await restart();

  await mysql.query(`ALTER USER ${USER} ACCOUNT LOCK`);
  await expectStop(/ACCOUNT UNLOCK/);
  await mysql.query(`ALTER USER ${USER} ACCOUNT UNLOCK`);
  await restart();

  await mysql.query(`ALTER USER ${USER} PASSWORD EXPIRE`);
  await expectStop(/PASSWORD EXPIRE NEVER/);
  await mysql.query(`ALTER USER ${USER} IDENTIFIED BY 'third' PASSWORD EXPIRE NEVER`);
  writeFileSync(passwordFile, 'third\n');
  await restart();
  await expectNoDifference();
}, 120_000);
