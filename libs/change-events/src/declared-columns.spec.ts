import { describe, expect, test } from '@jest/globals';
import { readDeclaredColumns } from './declared-columns.ts';
import { DEFAULT_SQL_MODE } from './sql-tokens.ts';

function shown(sql: string): string[] {
  const { columns, isVersioned } = readDeclaredColumns(sql, DEFAULT_SQL_MODE);
  return [...columns.map(({ name, type }) => `${name} ${type}`), ...(isVersioned ? ['VERSIONED'] : [])];
}

describe('readDeclaredColumns', () => {
  test.each<[string, string[]]>([
    ['CREATE TABLE t (u UUID PRIMARY KEY, b BINARY(16), KEY uuid (u))', ['u UUID', 'b BINARY']],
    [
      'CREATE OR REPLACE TABLE IF NOT EXISTS d.t (`uuid` CHAR(36) DEFAULT (UUID()), i inet6) ENGINE=InnoDB',
      ['uuid CHAR', 'i INET6'],
    ],
    ['CREATE TEMPORARY TABLE t (a INT)', ['a INT']],
    ['CREATE TABLE t (a DECIMAL(10,2), v VECTOR(5) NOT NULL, VECTOR INDEX (v))', ['a DECIMAL', 'v VECTOR']],
    ["CREATE TABLE t (e ENUM('a, u UUID', ')'), /* x UUID, */ `a,b` INET4)", ['e ENUM', 'a,b INET4']],
    ['CREATE TABLE t (id INT) WITH SYSTEM VERSIONING', ['id INT', 'VERSIONED']],
    [
      'CREATE TABLE t (id INT) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION p0 HISTORY)',
      ['id INT', 'VERSIONED'],
    ],
    ['CREATE TABLE t (`key` UUID, `primary` INET4, PRIMARY KEY (`key`))', ['key UUID', 'primary INET4']],
    ['CREATE TABLE t LIKE uuid', []],
    ['CREATE TABLE t (LIKE uuid)', []],
    ['CREATE TABLE t AS SELECT 1 AS uuid', []],
    [
      'ALTER TABLE t ADD u UUID, ADD COLUMN IF NOT EXISTS v INET4 FIRST, MODIFY COLUMN w UUID, CHANGE x y UUID',
      ['u UUID', 'v INET4', 'w UUID', 'y UUID'],
    ],
    ['ALTER ONLINE TABLE IF EXISTS `d`.`t` ADD (a INT, b UUID)', ['a INT', 'b UUID']],
    ['ALTER TABLE t CHANGE uuid id CHAR(36), CHANGE COLUMN IF EXISTS a uuid BINARY(16)', ['id CHAR', 'uuid BINARY']],
    [
      'ALTER TABLE t ADD INDEX uuid (u), ADD UNIQUE uuid (u), ADD CONSTRAINT uuid CHECK (u), ADD PERIOD FOR uuid (a, b)',
      [],
    ],
    ['ALTER TABLE t ADD SYSTEM VERSIONING', ['VERSIONED']],
    ['ALTER TABLE t DROP SYSTEM VERSIONING', []],
    ['ALTER TABLE t ADD a INT WITHOUT SYSTEM VERSIONING', ['a INT']],
    ["ALTER TABLE t COMMENT 'ADD u UUID'", []],
    ['DROP TABLE uuid', []],
    ['INSERT INTO t VALUES (UUID())', []],
    ['', []],
  ])('%s', (sql, expected) => {
    expect(shown(sql)).toEqual(expected);
  });
});
