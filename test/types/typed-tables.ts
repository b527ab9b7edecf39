import { type Connection } from 'mysql2/promise';
import { PARTLY_CHANGED } from './documents.ts';
import { type TypeTable } from './matrix.ts';
import { Random } from './random.ts';

const ROWS_PER_STATEMENT = 250;
/** Rows of one copy; the second one's numbers come after the first one's. */
const MOST_ROWS = 2 ** 16;
/** One value in so many is NULL; prime, so that it falls on every column. */
const NULL_EVERY = 13;

/** Columns `copy` and `n` say which value a row holds: both copies of a number hold the same. */
const IDENTITY = ['copy', 'n'];

/** The tables of the matrix on a server, and what is done to their rows. */
export class TypedTables {
  readonly #connection: Connection;
  readonly #tables: readonly TypeTable[];
  readonly #rows: number;
  readonly #seed: number;

  constructor(options: {
    readonly connection: Connection;
    readonly tables: readonly TypeTable[];
    /** Of each copy of each table. */
    readonly rows: number;
    readonly seed: number;
  }) {
    if (options.rows > MOST_ROWS) throw new RangeError(`at most ${MOST_ROWS} rows`);
    this.#connection = options.connection;
    this.#tables = options.tables;
    this.#rows = options.rows;
    this.#seed = options.seed;
  }

  /** In a session that takes whatever MySQL can hold: dates of zeros, days that no month has. */
  async create(): Promise<void> {
    await this.#connection.query(
      "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00', max_error_count = 0, sql_generate_invisible_primary_key = OFF",
    );
    for (const { name, key, columns, generated = [] } of this.#tables) {
      const keys = key.map(({ declaration }, i) => `k${i} ${declaration} NOT NULL`);
      const values = columns.map(({ declaration }, i) => `c${i} ${declaration} NULL`);
      const names = key.map((_, i) => `k${i}`);
      const definitions = [...keys, 'copy TINYINT NOT NULL', 'n INT NOT NULL', ...values, ...generated];
      await this.#connection.query(
        `CREATE TABLE ${name} (${definitions.join(', ')}, PRIMARY KEY (${names.join(', ')}), KEY (copy, n))`,
      );
    }
  }

  /** The first copy: every bound of every column, then what the seed gives. */
  async insertFirstCopy(): Promise<void> {
    for (const [at, table] of this.#tables.entries()) {
      const random = new Random(this.#seed + at);
      for (let first = 0; first < this.#rows; first += ROWS_PER_STATEMENT) {
        const count = Math.min(ROWS_PER_STATEMENT, this.#rows - first);
        const rows = Array.from({ length: count }, (_, i) => this.#makeRow(table, first + i, random));
        await this.#connection.query(`INSERT INTO ${table.name} (${namesOf(table)}) VALUES ${rows.join(',')}`);
      }
    }
  }

  /** The same values again under other keys, in as many statements. */
  async insertSecondCopy(): Promise<void> {
    for (const table of this.#tables) {
      const keys = table.key.map(({ value }) => value(`${MOST_ROWS} + n`));
      const values = table.columns.map((_, i) => `c${i}`);
      for (let first = 0; first < this.#rows; first += ROWS_PER_STATEMENT)
        await this.#connection.query(
          `INSERT INTO ${table.name} (${namesOf(table)}) SELECT ${[...keys, '1', 'n', ...values].join(', ')}
           FROM ${table.name} WHERE copy = 0 AND n BETWEEN ${first} AND ${first + ROWS_PER_STATEMENT - 1}`,
        );
    }
  }

  /** A third of the rows get the values of the next number: other values, NULL from values and values from NULL. */
  async shiftValues(): Promise<void> {
    for (const { name, columns } of this.#tables) {
      const assignments = columns.map((_, i) => `a.c${i} = b.c${i}`);
      await this.#connection.query(
        `UPDATE ${name} AS a JOIN ${name} AS b ON b.copy = 1 - a.copy AND b.n = a.n + 1 SET ${assignments.join(', ')} WHERE a.n % 3 = a.copy`,
      );
    }
  }

  /** Changes documents in place: the statements that a server may log in part. */
  async changeDocuments(): Promise<void> {
    for (const { name, columns } of this.#tables) {
      const index = columns.indexOf(PARTLY_CHANGED);
      if (index === -1) continue;
      const column = `c${index}`;
      for (const expression of [
        `JSON_SET(${column}, '$.a', n, '$.added', JSON_ARRAY(n, 'é', 1.5))`,
        `JSON_REPLACE(${column}, '$.b', JSON_OBJECT('n', n))`,
        `JSON_REMOVE(${column}, '$."é"', '$.a')`,
        `JSON_SET(${column}, '$.added[1]', REPEAT('longer ', n % 50))`,
      ])
        await this.#connection.query(`UPDATE ${name} SET ${column} = ${expression} WHERE n % 2 = 0`);
    }
  }

  /** Rows go, and some come back under the same keys. */
  async deleteSome(): Promise<void> {
    for (const table of this.#tables) {
      await this.#connection.query(`DELETE FROM ${table.name} WHERE n % 10 = 7`);
      const keys = table.key.map(({ value }) => value('n + 1'));
      const values = table.columns.map((_, i) => `c${i}`);
      await this.#connection.query(
        `INSERT INTO ${table.name} (${namesOf(table)}) SELECT ${[...keys, '2', 'n', ...values].join(', ')} FROM ${table.name} WHERE copy = 0 AND n % 20 = 6`,
      );
    }
  }

  #makeRow({ key, columns }: TypeTable, n: number, random: Random): string {
    const keys = key.map(({ value }) => value(String(n)));
    const values = columns.map(({ bounds, random: make }, c) => {
      // taken even where it is not used: a column's values don't hang on how many bounds another has
      const other = make(random);
      if ((n + c) % NULL_EVERY === NULL_EVERY - 1) return 'NULL';
      const nullsBefore = Math.floor((n + c) / NULL_EVERY) - Math.floor(c / NULL_EVERY);
      return bounds[n - nullsBefore] ?? other;
    });
    return `(${[...keys, '0', String(n), ...values].join(', ')})`;
  }
}

function namesOf({ key, columns }: TypeTable): string {
  return [...key.map((_, i) => `k${i}`), ...IDENTITY, ...columns.map((_, i) => `c${i}`)].join(', ');
}
