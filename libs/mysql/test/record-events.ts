// Writes recorded-events.txt again, from a server that it starts: node --conditions=source
// libs/mysql/test/record-events.ts
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { connectionOptionsFromUrl } from '#mysql';
import { startStack } from '#stack';
import { DumpConnection } from '../src/binlog/dump-connection.ts';
import { makeReplicaIdentity } from '../src/binlog/replica-identity.ts';

const MARK = 'end_of_recording';
const STATEMENTS = [
  'CREATE DATABASE fuzz CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci',
  'USE fuzz',
  `CREATE TABLE numbers (id INT PRIMARY KEY, a TINYINT, b SMALLINT UNSIGNED, c MEDIUMINT, d INT UNSIGNED, e BIGINT,
    f BIGINT UNSIGNED, g DECIMAL(9,2), h DECIMAL(65,30), i FLOAT, j DOUBLE, k BIT(1), l BIT(20), m YEAR)`,
  `INSERT INTO numbers VALUES (1, -1, 65535, -8388608, 4294967295, -9223372036854775808, 18446744073709551615, -1234567.89,
    0.000000000000000000000000000001, 0.1, -1e21, 1, b'10101', 2026), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL)`,
  'UPDATE numbers SET a = 5, g = 1.5, j = 12',
  'DELETE FROM numbers WHERE id = 1',
  `CREATE TABLE times (id BIGINT UNSIGNED PRIMARY KEY, a DATE, b TIME, c TIME(6), d DATETIME(3), e DATETIME, f TIMESTAMP(6) NULL,
    g TIMESTAMP NULL)`,
  `INSERT INTO times VALUES (1, '2026-02-03', '-838:59:59', '-00:00:00.000001', '2026-02-03 04:05:06.789', '9999-12-31 23:59:59',
    '2026-02-03 04:05:06.000007', '1970-01-01 00:00:01'), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL)`,
  'UPDATE times SET b = NULL, c = ADDTIME(c, 1)',
  `CREATE TABLE texts (name VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci PRIMARY KEY,
    a CHAR(10) CHARACTER SET latin1 COLLATE latin1_swedish_ci, b VARCHAR(300) CHARACTER SET utf16 COLLATE utf16_general_ci,
    c TEXT, d ENUM('', 'a"b', 'é'), e SET('x', 'y', 'z'), f LONGTEXT)`,
  `INSERT INTO texts VALUES ('é😀', 'ü', 'aé漢', 'tab\\t "quoted" \\\\', 'é', 'x,z', REPEAT('long ', 60)), ('', '', '', '', 2, '', ''),
    ('null', NULL, NULL, NULL, NULL, NULL, NULL)`,
  "UPDATE texts SET c = 'other'",
  `CREATE TABLE bytes (id INT NOT NULL, part VARBINARY(8) NOT NULL, a BINARY(5), b VARBINARY(300), c BLOB, d JSON, e GEOMETRY,
    f VECTOR(3), PRIMARY KEY (part, id))`,
  `INSERT INTO bytes VALUES (1, X'ff', 'ab', X'0001ff', REPEAT('x', 300), '{"a": [1, -1.5, null, true, "é\\\\u0001"], "b": {}}',
    ST_GeomFromText('POINT(1 2)', 4326), STRING_TO_VECTOR('[1,-2.5,3e10]')), (2, '', NULL, NULL, NULL, NULL, NULL, NULL)`,
  `UPDATE bytes SET d = JSON_ARRAY(CAST('2026-01-02 03:04:05.6' AS DATETIME(6)), 123456789.5, CAST('x' AS BINARY), 18446744073709551615)`,
  'CREATE TABLE other (id INT PRIMARY KEY, v TEXT)',
  "INSERT INTO other VALUES (1, 'not included'), (2, NULL)",
  "BEGIN; INSERT INTO numbers (id, a) VALUES (7, 7); SAVEPOINT s; INSERT INTO other VALUES (3, 'x'); INSERT INTO times (id) VALUES (9); COMMIT",
  'DELETE numbers, times FROM numbers JOIN times ON numbers.id = 7 AND times.id = 9',
  'SET SESSION binlog_rows_query_log_events = ON',
  'INSERT INTO numbers (id) VALUES (11)',
  "SET gtid_next = 'AUTOMATIC:tagged'",
  'INSERT INTO numbers (id) VALUES (12)',
  "SET gtid_next = 'AUTOMATIC'",
  "XA START 'x'; INSERT INTO other VALUES (5, 'x'); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'",
  "XA START 'y'; INSERT INTO numbers (id) VALUES (13); INSERT INTO times (id) VALUES (13); XA END 'y'; XA PREPARE 'y'",
  'INSERT INTO other VALUES (6, NULL)',
  "XA COMMIT 'y'",
  "XA START 'z'; INSERT INTO numbers (id) VALUES (14); XA END 'z'; XA PREPARE 'z'; XA ROLLBACK 'z'",
  'SET SESSION binlog_row_value_options = PARTIAL_JSON',
  `UPDATE bytes SET d = '{"list": [1, 2, 3], "name": "a longer text so that a part of it is worth while", "n": 1.5}'`,
  "UPDATE bytes SET d = JSON_SET(d, '$.list[1]', JSON_OBJECT('x', NULL), '$.n', 7)",
  "UPDATE bytes SET d = JSON_REMOVE(d, '$.list[0]')",
  "SET SESSION binlog_row_value_options = '', binlog_transaction_compression = ON",
  'INSERT INTO numbers SELECT id + 100, a, b, c, d, e, f, g, h, i, j, k, l, m FROM numbers',
  // more than is decompressed at once
  "UPDATE texts SET f = REPEAT('long ', 60000) LIMIT 1",
  'SET SESSION binlog_transaction_compression = OFF',
  'ALTER TABLE numbers ADD COLUMN n INT, ALGORITHM=COPY',
  'FLUSH BINARY LOGS',
  'TRUNCATE TABLE times',
];

const folder = mkdtempSync(join(tmpdir(), 'ditto-record-'));
const stack = await startStack({ folder, servers: ['mysql-primary'] });
try {
  const connection = connectionOptionsFromUrl(stack.url('mysql-primary'));
  const admin = await mysql.createConnection({ ...connection, charset: 'utf8mb4', multipleStatements: true });
  const [rows] = await admin.query<mysql.RowDataPacket[]>('SELECT @@GLOBAL.gtid_executed AS executed');
  await admin.query("SET SESSION sql_mode = '', time_zone = '+00:00', binlog_row_value_options = ''");
  for (const statement of [...STATEMENTS, `CREATE TABLE ${MARK} (id INT)`]) await admin.query(statement);
  const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
  const lines: string[] = [];
  const dump = new DumpConnection({
    connection,
    start: { gtidSet: String(rows[0]?.['executed']).replace(/\s/g, '') },
    replica: makeReplicaIdentity(undefined),
    heartbeatMs: 1_000,
    listener: {
      onStart: () => undefined,
      onEvent: (bytes, start, end) => {
        const event = bytes.subarray(start, end);
        lines.push(event.toString('hex'));
        if (event.includes(MARK)) resolve(lines);
      },
      onError: reject,
    },
  });
  dump.start();
  writeFileSync(join(import.meta.dirname, 'recorded-events.txt'), `${(await promise).join('\n')}\n`);
  dump.stop();
  await admin.end();
} finally {
  await stack.down();
}
