import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';
import { binlogFileNumber, GtidSet } from '#change-events';
import { testStack, uniqueName } from '#testing';
import { MySqlEndpoint } from '../src/index.ts';

const signal = new AbortController().signal;
const endings: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const end of endings) await end();
});

for (const server of ['mysql-primary', 'mariadb'] as const) describeServer(server);

function describeServer(server: 'mysql-primary' | 'mariadb'): void {
  let mysql: Connection;
  let endpoint: MySqlEndpoint;
  const database = uniqueName('place');

  beforeAll(async () => {
    const stack = await testStack();
    const { host, port, user, password } = stack.endpoint(server);
    endpoint = new MySqlEndpoint({ host, port, user: user ?? '', password: password ?? '' });
    mysql = await createConnection({ uri: stack.url(server) });
    endings.push(async () => {
      await mysql.query(`DROP DATABASE IF EXISTS ${database}`);
      mysql.destroy();
    });
    await mysql.query(`CREATE DATABASE ${database}`);
    await mysql.query(`CREATE TABLE ${database}.t (id INT PRIMARY KEY)`);
  });

  async function query(sql: string): Promise<RowDataPacket> {
    const [rows] = await mysql.query<RowDataPacket[]>(sql);
    return rows[0] as RowDataPacket;
  }

  /** End of the log and what it holds until there. */
  async function readEnd(): Promise<{ file: string; offset: number; gtidSet: string }> {
    const row = await query(server === 'mariadb' ? 'SHOW MASTER STATUS' : 'SHOW BINARY LOG STATUS');
    const gtids = server === 'mariadb' ? 'gtid_binlog_pos' : 'gtid_executed';
    const executed =
      server === 'mariadb'
        ? String((await query(`SELECT BINLOG_GTID_POS('${row['File']}', ${row['Position']}) AS gtids`))['gtids'])
        : String(row['Executed_Gtid_Set'] ?? (await query(`SELECT @@GLOBAL.${gtids} AS gtids`))['gtids']);
    return { file: String(row['File']), offset: Number(row['Position']), gtidSet: GtidSet.parse(executed).toString() };
  }

  it(`${server}: finds what was logged before a place, also where it takes many pages, and says when the file is gone`, async () => {
    for (let id = 1; id <= 700; id++) await mysql.query(`INSERT INTO ${database}.t VALUES (${id})`);
    // what a statement says is no GTID of the log
    await mysql.query(`ALTER TABLE ${database}.t COMMENT "GTID_NEXT = 'aaaaaaaa-0000-0000-0000-00000000000a:7'"`);
    const end = await readEnd();
    for (let id = 701; id <= 705; id++) await mysql.query(`INSERT INTO ${database}.t VALUES (${id})`);
    expect(await endpoint.findGtidsBefore(binlogFileNumber(end.file), end.offset, signal)).toEqual(end);
    expect(await endpoint.findGtidsBefore(999_999, 4, signal)).toBeNull();
  }, 30_000);
}
