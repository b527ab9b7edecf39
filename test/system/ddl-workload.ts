import { type Connection } from 'mysql2/promise';
import { setTimeout as sleep } from 'node:timers/promises';

/** Small, fast, and the same sequence for the same seed (mulberry32). */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * limit);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

const TYPES = [
  'INT',
  'INT NOT NULL DEFAULT 7',
  'BIGINT UNSIGNED',
  'DECIMAL(12,3) NOT NULL DEFAULT 1.5',
  'DOUBLE',
  'VARCHAR(40)',
  "VARCHAR(60) CHARACTER SET latin1 NOT NULL DEFAULT 'ä'",
  'TEXT',
  'VARBINARY(50)',
  "DATETIME(3) NOT NULL DEFAULT '2020-01-02 03:04:05.678'",
  "ENUM('a','b','c') NOT NULL DEFAULT 'b'",
  'JSON',
  'BIT(1)',
  'YEAR',
] as const;

/** What every table keeps through all statements, so that rows can be written without knowing what became of it. */
const DEFINITION = `(id INT NOT NULL, alt INT NOT NULL DEFAULT 0, v VARCHAR(50), x0 INT, PRIMARY KEY (id))`;

/**
 * Random DDL and random changes of rows on the same tables, each over a connection of its own. What the server refuses
 * (a column that is gone, a duplicate key) is no part of the log and so of no interest.
 */
export class DdlWorkload {
  statements = 0;
  changes = 0;
  /** DDL that the server took, in order. */
  readonly history: string[] = [];
  readonly #tables: readonly string[];
  readonly #random: SeededRandom;
  #columns = 1;

  constructor(tables: readonly string[], seed: number) {
    this.#tables = tables;
    this.#random = new SeededRandom(seed);
  }

  async createTables(connection: Connection): Promise<void> {
    for (const table of this.#tables) {
      await connection.query(`CREATE TABLE ${table} ${DEFINITION}`);
      const rows = Array.from({ length: 200 }, (_, id) => `(${id}, ${id % 7}, 'row ${id}', ${id})`);
      await connection.query(`INSERT INTO ${table} VALUES ${rows.join(',')}`);
    }
  }

  async runDdl(connection: Connection, signal: AbortSignal, pauseMs: number): Promise<void> {
    await connection.query("SET SESSION sql_mode = '', lock_wait_timeout = 2");
    while (!signal.aborted) {
      for (const statement of this.#ddl()) await this.#run(connection, statement);
      await sleep(this.#random.below(2 * pauseMs));
    }
  }

  async runChanges(connection: Connection, signal: AbortSignal): Promise<void> {
    await connection.query("SET SESSION sql_mode = '', lock_wait_timeout = 2, innodb_lock_wait_timeout = 2");
    while (!signal.aborted) {
      await connection.query('BEGIN');
      for (let i = this.#random.below(4); i >= 0; i--) if (await this.#try(connection, this.#change())) this.changes++;
      await connection.query(this.#random.below(12) === 0 ? 'ROLLBACK' : 'COMMIT');
      await sleep(this.#random.below(5));
    }
  }

  /** One more change of every table's rows without row events. */
  async alterAll(connection: Connection): Promise<void> {
    for (const table of this.#tables)
      await this.#run(connection, `ALTER TABLE ${table} ADD COLUMN last INT NOT NULL DEFAULT 3`);
  }

  async #run(connection: Connection, statement: string): Promise<void> {
    if (!(await this.#try(connection, statement))) return;
    this.statements++;
    this.history.push(statement);
  }

  async #try(connection: Connection, statement: string): Promise<boolean> {
    try {
      await connection.query(statement);
      return true;
    } catch {
      return false;
    }
  }

  #change(): string {
    const random = this.#random;
    const table = random.pick(this.#tables);
    const id = random.below(400);
    const column = `x${random.below(2) * random.below(this.#columns)}`;
    switch (random.below(8)) {
      case 0:
        return `DELETE FROM ${table} WHERE id BETWEEN ${id} AND ${id + random.below(6)}`;
      case 1:
        return `UPDATE ${table} SET id = id + 400 WHERE id = ${id}`;
      case 2:
        return `UPDATE ${table} SET alt = alt + 1 WHERE id BETWEEN ${id} AND ${id + 3}`;
      case 3:
      case 4:
        return `UPDATE ${table} SET ${column} = ${random.below(100)} WHERE id BETWEEN ${id} AND ${id + random.below(20)}`;
      default:
        return `REPLACE INTO ${table} (id, alt, v) VALUES (${id}, ${random.below(9)}, 'v${random.below(1e6)} ü'), (${id + 1}, 3, NULL)`;
    }
  }

  /** Endings come seldom: they hide what the statements before them left. */
  #ddl(): string[] {
    const table = this.#random.pick(this.#tables);
    return this.#random.below(8) === 0 ? this.#ending(table) : [`ALTER TABLE ${table} ${this.#alteration()}`];
  }

  #alteration(): string {
    const random = this.#random;
    const column = `x${random.below(2) * random.below(this.#columns)}`;
    const added = `x${this.#columns++}`;
    const type = random.pick(TYPES);
    const place = random.pick(['', ' FIRST', ' AFTER id', ' AFTER v']);
    return random.pick([
      `ADD COLUMN ${added} ${type}${place}`,
      `ADD COLUMN ${added} ${type}${place}`,
      `RENAME COLUMN ${column} TO ${added}`,
      `ADD COLUMN ${added} INT AS (id * 3) ${random.pick(['VIRTUAL', 'STORED'])}`,
      `DROP COLUMN ${column}`,
      `MODIFY ${column} ${type}${place}`,
      `MODIFY v ${random.pick(['TEXT', 'VARCHAR(70)', 'VARCHAR(60) CHARACTER SET utf16'])}${place}`,
      `CONVERT TO CHARACTER SET ${random.pick(['latin1', 'utf8mb4'])}`,
      `DROP PRIMARY KEY, ADD PRIMARY KEY (${random.pick(['id', 'alt, id', 'id, alt'])})`,
      `MODIFY id ${random.pick(['INT', 'BIGINT', 'VARCHAR(20)'])} NOT NULL`,
      `PARTITION BY KEY () PARTITIONS ${1 + random.below(4)}`,
      `TRUNCATE PARTITION p${random.below(4)}`,
      random.pick(['REMOVE PARTITIONING', 'COALESCE PARTITION 1']),
      `ADD INDEX (${random.pick(['alt', 'v(9)', column])}), COMMENT = 'neutral'`,
    ]);
  }

  #ending(table: string): string[] {
    const other = this.#random.pick(this.#tables);
    return this.#random.pick([
      [`TRUNCATE TABLE ${table}`],
      [`DROP TABLE ${table}`, `CREATE TABLE ${table} ${DEFINITION}`],
      [`RENAME TABLE ${table} TO away, ${other} TO ${table}, away TO ${other}`],
      [
        `CREATE TABLE copied LIKE ${table}`,
        `REPLACE INTO copied (id, alt, v) SELECT id, alt, v FROM ${table}`,
        `RENAME TABLE ${table} TO gone, copied TO ${table}`,
        'DROP TABLE IF EXISTS gone',
        'DROP TABLE IF EXISTS copied',
      ],
      [
        `DROP TABLE ${table}`,
        `CREATE TABLE ${table} (PRIMARY KEY (id)) AS SELECT * FROM ${other}`,
        `CREATE TABLE IF NOT EXISTS ${table} ${DEFINITION}`,
      ],
    ]);
  }
}
