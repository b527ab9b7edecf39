import { describe, expect, it } from '@jest/globals';
import {
  encodeSchemaChange,
  encodeSchemaChangeKey,
  schemaChangeId,
  schemaChangeVersion,
  type SchemaChange,
} from './schema-change.ts';

const change: SchemaChange = {
  database: 'shop',
  ddl: 'RENAME TABLE shop.a TO shop.`b"c`',
  tables: [
    { type: 'ALTER', table: { database: 'shop', table: 'b"c' }, previous: { database: 'shop', table: 'a' } },
    { type: 'CREATE', table: { database: 'shop', table: 'd' } },
  ],
  transaction: {
    gtid: 'u:7',
    serverId: 3,
    serverUuid: 'u',
    file: 'binlog.000002',
    offset: 500,
    commitMicros: 1_700_000_000_123_456,
    versionPrefix: '0'.repeat(28),
  },
};
const options = { source: 'eu', version: '1.2.3', nowMs: 5, mostBytes: 100_000 };

describe('the message of a statement', () => {
  it("is Debezium's schema change event, reduced", () => {
    expect(encodeSchemaChangeKey(change)).toBe('{"databaseName":"shop"}');
    expect(JSON.parse(encodeSchemaChange(change, options))).toEqual({
      source: {
        version: '1.2.3',
        connector: 'mysql',
        name: 'eu',
        ts_ms: 1_700_000_000_123,
        snapshot: 'false',
        db: 'shop',
        table: 'b"c,d',
        server_id: 3,
        gtid: 'u:7',
        file: 'binlog.000002',
        pos: 500,
        row: 0,
      },
      ts_ms: 5,
      databaseName: 'shop',
      schemaName: null,
      ddl: 'RENAME TABLE shop.a TO shop.`b"c`',
      tableChanges: [
        { type: 'ALTER', id: '"shop"."b""c"', previousId: '"shop"."a"' },
        { type: 'CREATE', id: '"shop"."d"' },
      ],
    });
  });

  it('has one identity and the version of the first row of its transaction', () => {
    expect(schemaChangeId(change)).toBe('u:7/ddl');
    expect(schemaChangeId({ ...change, transaction: { ...change.transaction, gtid: null } })).toBe(
      'u/binlog.000002/500/ddl',
    );
    expect(schemaChangeVersion(change)).toBe('0'.repeat(44));
  });

  it.each(['x', 'ü', '\u0001', '🐬'])('is cut to what the topic takes, and marked as truncated: %s', (character) => {
    const long = { ...change, ddl: character.repeat(20_000) };
    const text = encodeSchemaChange(long, { ...options, mostBytes: 10_000 });
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(10_000);
    const { ddl, truncated } = JSON.parse(text) as { ddl: string; truncated: boolean };
    expect([long.ddl.startsWith(ddl), ddl.length > 1000, truncated]).toEqual([true, true, true]);
  });
});
