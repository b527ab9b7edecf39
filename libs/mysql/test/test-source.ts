import { connectionOptionsFromUrl, MySqlChangeSource, type KeyOverrides, type MySqlConnectionOptions } from '#mysql';
import {
  type BigintMode,
  type FilePosition,
  type Position,
  type Row,
  type RowImages,
  type TableLayout,
  ValueImages,
} from '#change-events';
import { silentLogger } from '#kernel';
import { type SourceItem } from '#replication';
import { testStack, uniqueName } from '#testing';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';

/** Tables of this prefix mark the end of a reading. */
const MARK = 'end_of_reading';

const MOST_WAIT_MS = 10_000;

type StreamedRows = Extract<SourceItem, { type: 'rows' }>;

/** Rows of the log with their values. */
export interface RowsItem extends Omit<StreamedRows, 'before' | 'after'> {
  readonly before: readonly Row[] | null;
  readonly after: readonly Row[] | null;
}

export type ReadItem = Exclude<SourceItem, StreamedRows> | RowsItem;

function jsonOf(images: RowImages, index: number, bigint: BigintMode, keyed: boolean): string[] {
  const target = Buffer.alloc(images.jsonBound(index, bigint));
  const json = target.toString('utf8', 0, images.writeJson(index, target, 0, bigint));
  return keyed ? [json, target.toString('utf8', 0, images.writeKey(index, target, 0, bigint))] : [json];
}

/** The values of images; fails when what they write as JSON is not what the values are in JSON. */
function valuesOf(layout: TableLayout, images: RowImages | null): readonly Row[] | null {
  if (images === null) return null;
  const rows = Array.from({ length: images.count }, (_, i) => images.row(i));
  const values = new ValueImages(layout, rows);
  for (const mode of ['number', 'string'] as const)
    rows.forEach((_, i) => {
      const written = jsonOf(images, i, mode, layout.key.length > 0).join(' ');
      const expected = jsonOf(values, i, mode, layout.key.length > 0).join(' ');
      if (written !== expected) throw new Error(`JSON written is ${written}, of the values ${expected}`);
    });
  return rows;
}

function withValues(item: SourceItem): ReadItem {
  if (item.type !== 'rows') return item;
  const { layout, before, after } = item;
  return { ...item, before: valuesOf(layout, before), after: valuesOf(layout, after) };
}

async function connect(options: MySqlConnectionOptions): Promise<Connection> {
  const connection = await mysql.createConnection({
    ...options,
    charset: 'utf8mb4',
    supportBigNumbers: true,
    dateStrings: true,
    jsonStrings: true,
  });
  await connection.query("SET SESSION sql_mode = '', time_zone = '+00:00'");
  return connection;
}

/** A database of its own on the shared primary, or on a server of another URL, with an administrator's connection. */
export class TestSource {
  readonly database: string;
  readonly connection: MySqlConnectionOptions;
  readonly admin: Connection;
  readonly isMariaDb: boolean;
  readonly #users: string[] = [];
  #tag: string | null = null;

  private constructor(database: string, connection: MySqlConnectionOptions, admin: Connection, isMariaDb: boolean) {
    this.database = database;
    this.connection = connection;
    this.admin = admin;
    this.isMariaDb = isMariaDb;
  }

  static async open(prefix: string, url?: string): Promise<TestSource> {
    const connection = connectionOptionsFromUrl(url ?? (await testStack()).url('mysql-primary'));
    const admin = await connect(connection);
    const database = uniqueName(prefix);
    await admin.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`);
    await admin.query(`USE ${database}`);
    const [rows] = await admin.query<RowDataPacket[]>('SELECT VERSION() AS version');
    return new TestSource(database, connection, admin, /mariadb/i.test(String(rows[0]?.['version'])));
  }

  /** The same database after its server was killed and started again. */
  static async reopen({ database, connection, isMariaDb }: TestSource): Promise<TestSource> {
    const admin = await connect(connection);
    await admin.query(`USE ${database}`);
    return new TestSource(database, connection, admin, isMariaDb);
  }

  /** Another connection like `admin`; the caller that asks for it ends it. */
  async connect(): Promise<Connection> {
    const connection = await connect(this.connection);
    await connection.query(`USE ${this.database}`);
    return connection;
  }

  async run(...statements: readonly string[]): Promise<void> {
    for (const statement of statements) await this.admin.query(statement);
  }

  /** The first column of the first row as text. */
  async value(sql: string, values: readonly unknown[] = []): Promise<string | null> {
    const [rows] = await this.admin.query<RowDataPacket[][]>({ sql, rowsAsArray: true, values: [...values] });
    const value = rows[0]?.[0] as string | number | bigint | null | undefined;
    return value === null || value === undefined ? null : String(value);
  }

  /**
   * All that is executed, at a moment when nobody else has an undecided XA transaction: a stream from here would come
   * upon the decision without its rows. Xids of a test begin with the name of its database.
   */
  async executedSet(): Promise<string> {
    const deadline = Date.now() + MOST_WAIT_MS;
    let before = await this.#executedNow();
    while (Date.now() < deadline) {
      const [prepared] = await this.admin.query<RowDataPacket[]>('XA RECOVER');
      const now = await this.#executedNow();
      // while nothing was executed nothing was decided either: what was prepared would be in the list
      if (now === before && prepared.every((row) => String(row['data']).startsWith(this.database))) return now;
      before = now;
    }
    throw new Error('others hold XA transactions undecided, or write without a pause');
  }

  async #executedNow(): Promise<string> {
    const variable = this.isMariaDb ? 'gtid_binlog_pos' : 'gtid_executed';
    return ((await this.value(`SELECT @@GLOBAL.${variable}`)) ?? '').replace(/\s/g, '');
  }

  /** The end of the log as of now. */
  async logEnd(): Promise<{ readonly file: string; readonly offset: number }> {
    const statement = this.isMariaDb ? 'SHOW MASTER STATUS' : 'SHOW BINARY LOG STATUS';
    const [rows] = await this.admin.query<RowDataPacket[]>(statement);
    return { file: String(rows[0]?.['File']), offset: Number(rows[0]?.['Position']) };
  }

  /** Types of the events after that place, as the server calls them; events inside of payloads too. */
  async eventTypes(place: { readonly file: string; readonly offset: number }): Promise<string[]> {
    return (await this.events(place)).map(({ type }) => type);
  }

  /** The events after that place; those inside of payloads have the place of the payload. */
  async events({
    file,
    offset,
  }: {
    readonly file: string;
    readonly offset: number;
  }): Promise<{ readonly type: string; readonly offset: number; readonly end: number }[]> {
    const [rows] = await this.admin.query<RowDataPacket[]>('SHOW BINLOG EVENTS IN ? FROM ?', [file, offset]);
    return rows.map((row) => ({
      type: String(row['Event_type']),
      offset: Number(row['Pos']),
      end: Number(row['End_log_pos']),
    }));
  }

  readonly includes: (database: string, table: string) => boolean = (database) => database === this.database;

  source(
    keys: KeyOverrides = {},
    maxQueuedBytes?: number,
    xaStore: { readonly memoryBytes?: number; readonly folder?: string } = {},
  ): MySqlChangeSource {
    return new MySqlChangeSource({
      connection: this.connection,
      logger: silentLogger,
      keys,
      xaStore,
      ...(maxQueuedBytes === undefined ? {} : { maxQueuedBytes }),
    });
  }

  /** All items after `from` up to everything that is executed now, without the marks that earlier readings left. */
  async readItems(
    from: string | Position | FilePosition,
    source = this.source(),
    includes = this.includes,
  ): Promise<ReadItem[]> {
    const start = typeof from === 'string' ? position(from) : from;
    const mark = uniqueName(MARK);
    await this.run(`CREATE TABLE ${mark} (id INT)`);
    const items: ReadItem[] = [];
    let transaction: ReadItem[] = [];
    const { signal } = new AbortController();
    for await (const batch of source.stream({ from: start, includes, signal })) {
      for (const item of batch.items) {
        if (item.type === 'statement' && item.sql.includes(mark)) return items;
        if (item.type === 'prepared') {
          if (this.#isOwn(item)) items.push(item);
          continue;
        }
        transaction.push(withValues(item));
        if (item.type !== 'end') continue;
        const isMark = transaction.some((member) => member.type === 'statement' && member.sql.includes(MARK));
        if (!isMark && this.#isOwn(transaction[0])) items.push(...transaction);
        transaction = [];
      }
    }
    return items;
  }

  /**
   * Gives the transactions of these sessions a tag (MySQL 8.3), by which `readItems` leaves out those of others, who
   * write to the same server.
   */
  async tagTransactions(...sessions: readonly Connection[]): Promise<string> {
    const tag = uniqueName('own').toLowerCase().slice(0, 32);
    for (const session of [this.admin, ...sessions]) await session.query(`SET SESSION gtid_next = 'AUTOMATIC:${tag}'`);
    this.#tag = tag;
    return tag;
  }

  #isOwn(first: ReadItem | undefined): boolean {
    if (this.#tag === null) return true;
    const gtid = first?.type === 'begin' ? first.transaction.gtid : first?.type === 'prepared' ? first.gtid : null;
    return gtid?.includes(`:${this.#tag}:`) === true;
  }

  async readRows(from: string | FilePosition): Promise<RowsItem[]> {
    return (await this.readItems(from)).filter((item) => item.type === 'rows');
  }

  /** A user of its own, with these privileges everywhere and on this database. */
  async createUser(everywhere: string, here: string): Promise<MySqlConnectionOptions> {
    const user = uniqueName('u').slice(0, 30);
    this.#users.push(user);
    await this.run(`CREATE USER ${user} IDENTIFIED BY 'secret'`);
    if (everywhere !== '') await this.run(`GRANT ${everywhere} ON *.* TO ${user}`);
    if (here !== '') await this.run(`GRANT ${here} ON ${this.database}.* TO ${user}`);
    return { ...this.connection, user, password: 'secret' };
  }

  async close(): Promise<void> {
    await this.admin.query(`DROP DATABASE ${this.database}`);
    for (const user of this.#users) await this.run(`DROP USER ${user}`);
    await this.admin.end();
  }
}

export function position(gtidSet: string): { gtidSet: string; file: string; offset: number; serverUuid: string } {
  return { gtidSet, file: '', offset: 0, serverUuid: '' };
}

export function column(layout: TableLayout, row: Row, name: string): unknown {
  return row[layout.columns.findIndex((candidate) => candidate.name === name)];
}
