import { type Connection, createConnection } from 'mysql2/promise';
import { type Column, type ColumnKind, type Row, type TableLayout } from '#change-events';

/** The ten-column table of the published comparisons of this field: about 170 bytes a row in the log. */
export const TABLE_NAME = 'orders';

const DEFINITION = `
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY, customer_id INT NOT NULL, status TINYINT NOT NULL, ref VARCHAR(32) NOT NULL,
  sku VARCHAR(24) NOT NULL, amount DECIMAL(18,4) NOT NULL, quantity INT UNSIGNED NOT NULL, placed_at DATETIME(6) NOT NULL,
  updated_at TIMESTAMP(3) NOT NULL, note TEXT NOT NULL`;

const NOTE = 'A remark of about eighty characters, as people write them next to an order line, or more.';
const STATEMENT_ROWS = 1_000;
/** Statements of small transactions travel together, so that the writer doesn't wait for each answer. */
const PACKET_ROWS = 250;

function column(name: string, kind: ColumnKind, type: string, detail: Partial<Column> = {}): Column {
  return { name, kind, type, unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [], ...detail };
}

/** The table as Ditto sees it. */
export function createLayout(database: string, table = TABLE_NAME): TableLayout {
  const columns = [
    column('id', 'bigint', 'bigint', { unsigned: true }),
    column('customer_id', 'integer', 'int'),
    column('status', 'integer', 'tinyint'),
    column('ref', 'text', 'varchar', { length: 32, charset: 'utf8mb4' }),
    column('sku', 'text', 'varchar', { length: 24, charset: 'utf8mb4' }),
    column('amount', 'decimal', 'decimal', { precision: 18, scale: 4 }),
    column('quantity', 'integer', 'int', { unsigned: true }),
    column('placed_at', 'datetime', 'datetime', { scale: 6 }),
    column('updated_at', 'timestamp', 'timestamp', { scale: 3 }),
    column('note', 'text', 'text', { charset: 'utf8mb4' }),
  ];
  return { database, table, columns, key: [0], fingerprint: `${table} ten columns` };
}

/** The row of an id, always the same but for `placedAt`, in canonical values and column order. */
export function createRow(id: number, placedAt?: string): Row {
  const micros = String(id % 1_000_000).padStart(6, '0');
  return [
    id,
    id % 50_000,
    id % 7,
    `REF-${(id * 2_654_435_761) % 4_294_967_296}-${id}`,
    `SKU-${id % 9_973}`,
    `${id % 100_000}.${String(id % 10_000).padStart(4, '0')}`,
    1 + (id % 40),
    placedAt ?? `2026-02-03T04:05:06.${micros}`,
    `2026-02-03T04:05:06.${micros.slice(0, 3)}Z`,
    `${NOTE.slice(id % 20)} ${id}`,
  ];
}

/** Inserts the rows of `count` ids from `first` on. The session's time zone must be UTC. */
export function insertStatement(database: string, first: number, count: number, placedAt?: string): string {
  const rows: string[] = [];
  for (let id = first; id < first + count; id++) rows.push(toSql(createRow(id, placedAt)));
  return `INSERT INTO \`${database}\`.\`${TABLE_NAME}\` VALUES ${rows.join(',')}`;
}

/** No value of the workload holds a quote or a backslash. MySQL's TIMESTAMP literals have no `Z`. */
function toSql(row: Row): string {
  const values = row.map((value) => (typeof value === 'string' ? `'${value.replace(/Z$/, '')}'` : String(value)));
  return `(${values.join(',')})`;
}

/** A range of ids from `first` on, in transactions of at most `rowsPerTransaction`. */
export interface Backlog {
  readonly rows: number;
  readonly rowsPerTransaction: number;
}

/**
 * What is sent to the server at once, each a text of one or more statements: several small transactions, one
 * transaction, or a piece of a large one between BEGIN and COMMIT.
 */
export function* planPackets(
  database: string,
  first: number,
  count: number,
  rowsPerTransaction: number,
): Generator<string> {
  const end = first + count;
  if (rowsPerTransaction > STATEMENT_ROWS) {
    for (let at = first; at < end; at += rowsPerTransaction)
      yield* planLargeTransaction(database, at, Math.min(rowsPerTransaction, end - at));
    return;
  }
  let packet: string[] = [];
  let rows = 0;
  for (let at = first; at < end; at += rowsPerTransaction) {
    const size = Math.min(rowsPerTransaction, end - at);
    packet.push(insertStatement(database, at, size));
    rows += size;
    if (rows < PACKET_ROWS) continue;
    yield packet.join(';');
    packet = [];
    rows = 0;
  }
  if (packet.length > 0) yield packet.join(';');
}

function* planLargeTransaction(database: string, first: number, count: number): Generator<string> {
  yield 'BEGIN';
  for (let at = first; at < first + count; at += STATEMENT_ROWS)
    yield insertStatement(database, at, Math.min(STATEMENT_ROWS, first + count - at));
  yield 'COMMIT';
}

export async function connectWriter(url: string): Promise<Connection> {
  return createConnection({ uri: url, charset: 'utf8mb4', timezone: 'Z', multipleStatements: true });
}

export async function createTable(url: string, database: string): Promise<void> {
  const connection = await connectWriter(url);
  try {
    await connection.query(`CREATE DATABASE \`${database}\` CHARACTER SET utf8mb4`);
    await connection.query(`CREATE TABLE \`${database}\`.\`${TABLE_NAME}\` (${DEFINITION})`);
  } finally {
    connection.destroy();
  }
}

export const ROWS_OF_SMALL_TABLE = 10;

export async function writeSmallTables(
  url: string,
  database: string,
  tables: number,
  signal: AbortSignal,
): Promise<void> {
  const connection = await connectWriter(url);
  try {
    await connection.query(`CREATE DATABASE \`${database}\` CHARACTER SET utf8mb4`);
    for (let number = 1; number <= tables; number++) {
      signal.throwIfAborted();
      const name = `\`${database}\`.\`t${number}\``;
      const rows = Array.from({ length: ROWS_OF_SMALL_TABLE }, (_, id) => `(${id}, 'row ${id} of ${number}')`);
      await connection.query(`CREATE TABLE ${name} (id INT PRIMARY KEY, text VARCHAR(40) NOT NULL)`);
      await connection.query(`INSERT INTO ${name} VALUES ${rows.join(', ')}`);
    }
  } finally {
    connection.destroy();
  }
}

export async function dropDatabase(url: string, database: string): Promise<void> {
  const connection = await connectWriter(url);
  try {
    await connection.query(`DROP DATABASE IF EXISTS \`${database}\``);
  } finally {
    connection.destroy();
  }
}

/** Writes the ids 1 to `rows`; over several connections where transactions are small. */
export async function writeBacklog(
  url: string,
  database: string,
  { rows, rowsPerTransaction }: Backlog,
  signal: AbortSignal,
): Promise<void> {
  const writers = rowsPerTransaction < PACKET_ROWS ? 4 : 1;
  const share = Math.ceil(rows / writers / rowsPerTransaction) * rowsPerTransaction;
  const write = async (writer: number): Promise<void> => {
    const connection = await connectWriter(url);
    try {
      await connection.query("SET time_zone = '+00:00'");
      const first = writer * share;
      const count = Math.min(share, rows - first);
      for (const packet of planPackets(database, first + 1, count, rowsPerTransaction)) {
        signal.throwIfAborted();
        await connection.query(packet);
      }
    } finally {
      connection.destroy();
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
}
