import { type Connection, createConnection, type RowDataPacket } from 'mysql2';
import { joinTexts, type ValueText } from './canonical-text.ts';
import { describeColumn, type OracleTable, quoteName } from './column.ts';
import { readMySqlValue } from './value-text.ts';

export interface TableName {
  readonly database: string;
  readonly table: string;
}

export interface ComparedTable extends TableName {
  /** Columns that no sink may have. */
  readonly excludedColumns?: readonly string[];
}

/** A row, document or message as texts in column order, with the text of its key. */
export interface KeyedRow {
  readonly key: string;
  readonly texts: readonly ValueText[];
}

/** Rows as MySQL itself renders them, read with plain queries on a connection of our own. */
export class SourceRows {
  readonly #connection: Connection;
  #isMariaDb = false;

  constructor(url: string) {
    this.#connection = createConnection({
      uri: url,
      charset: 'utf8mb4',
      supportBigNumbers: true,
      bigNumberStrings: true,
    });
  }

  async open(): Promise<void> {
    await this.#query("SET time_zone = '+00:00', sql_mode = '', net_write_timeout = 600");
    const [row] = await this.#query('SELECT VERSION() AS version');
    this.#isMariaDb = /mariadb/i.test(String(row?.['version']));
    await this.#query(this.#isMariaDb ? 'SET max_statement_time = 0' : 'SET max_execution_time = 0');
  }

  async describe({ database, table, excludedColumns = [] }: ComparedTable): Promise<OracleTable> {
    const all = await this.#query(
      `SELECT column_name AS name, LOWER(data_type) AS type, column_type LIKE '%unsigned%' AS isUnsigned, COALESCE(numeric_precision, 0) AS digits
       FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position`,
      [database, table],
    );
    const columns = all.filter((row) => !excludedColumns.includes(String(row['name'])));
    const keyColumns = await this.#query(
      `SELECT column_name AS name FROM information_schema.statistics
       WHERE table_schema = ? AND table_name = ? AND index_name = 'PRIMARY' ORDER BY seq_in_index`,
      [database, table],
    );
    if (columns.length === 0) throw new Error(`There is no table ${database}.${table} to compare.`);
    if (keyColumns.length === 0)
      throw new Error(`${database}.${table} has no primary key; it can't be compared by key.`);
    const described = columns.map((row) =>
      describeColumn({
        name: String(row['name']),
        dataType: String(row['type']),
        unsigned: Number(row['isUnsigned']) === 1,
        precision: Number(row['digits']),
        isMariaDb: this.#isMariaDb,
      }),
    );
    const key = keyColumns.map((row) => described.findIndex(({ name }) => name === row['name']));
    return { database, table, columns: described, key };
  }

  async count({ database, table }: TableName): Promise<number> {
    const [row] = await this.#query(`SELECT COUNT(*) AS count FROM ${quoteName(database)}.${quoteName(table)}`);
    return Number(row?.['count']);
  }

  /** Every row, as a stream: the server waits while `onRow` works. */
  async read(table: OracleTable, onRow: (row: KeyedRow) => void): Promise<void> {
    const { columns, key } = table;
    const sql = `SELECT ${columns.map(({ select }) => select).join(', ')} FROM ${quoteName(table.database)}.${quoteName(table.table)}`;
    const stream = this.#connection.execute({ sql, rowsAsArray: true, values: [] }).stream({ highWaterMark: 2_000 });
    for await (const row of stream as AsyncIterable<readonly unknown[]>) {
      const texts = columns.map((column, index) => readMySqlValue(column, row[index]));
      onRow({ key: joinTexts(key.map((index) => texts[index] ?? null)), texts });
    }
  }

  close(): void {
    this.#connection.destroy();
  }

  #query(sql: string, values: readonly string[] = []): Promise<RowDataPacket[]> {
    return new Promise((resolve, reject) => {
      this.#connection.query<RowDataPacket[]>(sql, [...values], (error, rows) =>
        error === null ? resolve(rows) : reject(error),
      );
    });
  }
}
