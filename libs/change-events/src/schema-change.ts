import { type TransactionInfo } from './change.ts';
import { type TableName } from './names.ts';

/** What a statement does to one table. */
export interface TableDefinitionChange {
  readonly type: 'CREATE' | 'ALTER' | 'DROP';
  readonly table: TableName;
  /** The name before a rename. */
  readonly previous?: TableName;
}

/** A statement of the log on definitions: tables, their indexes, databases. */
export interface SchemaChange {
  /** Of the first table or database that the statement names. */
  readonly database: string;
  readonly ddl: string;
  /** Included tables only, in the order of the statement. Empty for TRUNCATE and for what could not be read. */
  readonly tables: readonly TableDefinitionChange[];
  readonly transaction: TransactionInfo;
}

/** As Debezium writes a table id: `"shop"."orders"`. */
function tableId({ database, table }: TableName): string {
  return [database, table].map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
}

/** Header `ditto.id` of a statement: the same whenever it is published again. */
export function schemaChangeId({ transaction }: SchemaChange): string {
  const { gtid, serverUuid, file, offset } = transaction;
  return `${gtid ?? `${serverUuid}/${file}/${offset}`}/ddl`;
}

/** The version of the first row of its transaction. */
export function schemaChangeVersion({ transaction }: SchemaChange): string {
  return `${transaction.versionPrefix}0000000000000000`;
}

export function encodeSchemaChangeKey({ database }: SchemaChange): string {
  return JSON.stringify({ databaseName: database });
}

/**
 * The message of a statement: Debezium's schema change event, reduced to what is known here (docs/ddl.md).
 *
 * A text that would make the message longer than `mostBytes` is cut, and `truncated` is set.
 */
export function encodeSchemaChange(
  change: SchemaChange,
  options: { readonly source: string; readonly version: string; readonly nowMs: number; readonly mostBytes: number },
): string {
  const { transaction, database, tables } = change;
  const { commitMicros, serverId, gtid, file, offset } = transaction;
  const message = {
    source: {
      version: options.version,
      connector: 'mysql',
      name: options.source,
      ts_ms: Math.floor(commitMicros / 1000),
      snapshot: 'false',
      db: database,
      table: tables.map(({ table }) => table.table).join(','),
      server_id: serverId,
      gtid,
      file,
      pos: offset,
      row: 0,
    },
    ts_ms: options.nowMs,
    databaseName: database,
    schemaName: null,
    ddl: change.ddl,
    tableChanges: tables.map(({ type, table, previous }) => ({
      type,
      id: tableId(table),
      ...(previous === undefined ? {} : { previousId: tableId(previous) }),
    })),
  };
  const whole = JSON.stringify(message);
  if (Buffer.byteLength(whole) <= options.mostBytes) return whole;
  // six bytes are the most that one UTF-16 unit takes in JSON
  const units = Math.max(0, Math.floor((options.mostBytes - overhead(message)) / 6));
  return JSON.stringify({ ...message, ddl: change.ddl.slice(0, units), truncated: true });
}

function overhead(message: object): number {
  return Buffer.byteLength(JSON.stringify({ ...message, ddl: '', truncated: true }));
}
