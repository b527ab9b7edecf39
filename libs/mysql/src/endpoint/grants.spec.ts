import { describe, expect, test } from '@jest/globals';
import { parseGrant } from './grants.ts';

describe('parseGrant', () => {
  test('global privileges, static and dynamic', () => {
    const grant = parseGrant('GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `ditto`@`%`');
    expect(grant).toMatchObject({ database: null, table: null });
    expect([...(grant?.privileges ?? [])]).toEqual(['SELECT', 'REPLICATION SLAVE', 'REPLICATION CLIENT']);
  });

  test('database names are patterns, with escapes', () => {
    const grant = parseGrant('GRANT SELECT ON `shop\\_%`.* TO `ditto`@`%`');
    expect(grant?.database?.test('shop_1')).toBe(true);
    expect(grant?.database?.test('shopx1')).toBe(false);
  });

  test('one table; a privilege on columns is not one on the table', () => {
    const grant = parseGrant('GRANT SELECT (`a`, `b`), INSERT ON `shop`.`o``r` TO `ditto`@`%`');
    expect(grant?.table).toBe('o`r');
    expect(grant?.privileges.has('SELECT')).toBe(false);
    expect(grant?.privileges.has('INSERT')).toBe(true);
    expect(grant?.columns).toEqual(['a', 'b']);
  });

  test('columns with all that a name may hold', () => {
    const grant = parseGrant('GRANT INSERT (`x`), SELECT (`a``, )`, `B`), REFERENCES ON `shop`.`t` TO `ditto`@`%`');
    expect(grant?.columns).toEqual(['a`, )', 'b']);
    expect([...(grant?.privileges ?? [])]).toEqual(['INSERT (`X`)', 'SELECT (`A``, )`, `B`)', 'REFERENCES']);
  });

  test('a role is not a privilege', () => {
    expect(parseGrant('GRANT `reader`@`%` TO `ditto`@`%`')).toBeNull();
  });
});
