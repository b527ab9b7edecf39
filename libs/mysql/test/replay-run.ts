import mysql, { type Connection } from 'mysql2/promise';
import { type RowImages } from '#change-events';
import { DittoError } from '#kernel';
import { type SourceItem } from '#replication';
import { uniqueName } from '#testing';
import { type ReplayCase, type ReplayStatement } from './replay-case.ts';
import { position, type TestSource } from './test-source.ts';

/** Stands in replay files for the database that the case runs in. */
const DATABASE = '<db>';
/** At least this often repeated characters are counted rather than written. */
const RUNS = /(.{1,8}?)\1{15,}/gu;

/** The server adds the account that a test happens to use. */
const DEFINER = /DEFINER=`[^`]*`@`[^`]*`/;

interface Transaction {
  readonly prepared: boolean;
  readonly lines: string[];
}

/** Runs a case in a database of its own, all SQL before the log is read, and writes its events as lines. */
export async function runReplayCase(source: TestSource, replay: ReplayCase): Promise<string[]> {
  const database = uniqueName('replay');
  const connection = await mysql.createConnection({
    ...source.connection,
    charset: 'utf8mb4',
    multipleStatements: true,
  });
  try {
    await connection.query(`SET SESSION time_zone = '+00:00'; CREATE DATABASE ${database}; USE ${database}`);
    await runStatements(connection, replay.setup, database);
    const from = await source.executedSet();
    await runStatements(connection, replay.sql, database);
    const lines = await readLines(source, replay, database, from);
    return lines.map((line) => shorten(line).replaceAll(database, DATABASE));
  } finally {
    await runStatements(connection, replay.cleanup, database);
    await connection.query(`DROP DATABASE IF EXISTS ${database}`);
    await connection.end();
  }
}

async function runStatements(
  connection: Connection,
  statements: readonly ReplayStatement[],
  database: string,
): Promise<void> {
  for (const { sql, fails } of statements) {
    const error = await connection.query(sql.replaceAll(DATABASE, database)).then(() => null, describeError);
    if ((error?.name ?? null) === fails) continue;
    throw new Error(`${sql}\n${error === null ? `did not fail with ${fails ?? ''}` : error.message}`);
  }
}

/** The driver has no names for the newest errors. */
function describeError(error: unknown): { readonly name: string; readonly message: string } {
  const { code, errno, message } = error as { code?: string; errno?: number; message: string };
  return { name: code ?? `ER_${errno ?? 'UNKNOWN'}`, message };
}

/** What happened in `database` after `from`; transactions that did not touch it are left out. */
async function readLines(source: TestSource, replay: ReplayCase, database: string, from: string): Promise<string[]> {
  const mark = uniqueName('end_of_replay');
  await source.run(`CREATE TABLE ${mark} (id INT)`);
  const includes = (name: string, table: string): boolean => name === database && !replay.excluded.includes(table);
  const { signal } = new AbortController();
  const result: string[] = [];
  let transaction: Transaction = { prepared: false, lines: [] };
  try {
    for await (const batch of source.source().stream({ from: position(from), includes, signal })) {
      for (const item of batch.items) {
        if (item.type === 'statement' && item.sql.includes(mark)) return result;
        if (item.type === 'begin') transaction = { prepared: item.transaction.preparedGtid !== null, lines: [] };
        transaction.lines.push(...itemLines(item, replay, database));
        if (item.type !== 'end') continue;
        result.push(...transactionLines(transaction, replay));
        transaction = { prepared: false, lines: [] };
      }
    }
  } catch (error) {
    if (!(error instanceof DittoError)) throw error;
    return [...result, ...transaction.lines, `stop ${error.code}`];
  }
  throw new Error('the stream ended before all was read');
}

function transactionLines({ prepared, lines }: Transaction, { options }: ReplayCase): readonly string[] {
  if (!options.has('transactions') || lines.length === 0) return lines;
  return [prepared ? 'begin prepared' : 'begin', ...lines, 'end'];
}

function itemLines(item: SourceItem, replay: ReplayCase, database: string): string[] {
  switch (item.type) {
    case 'statement':
      return statementLines(item.sql, item.database, database);
    case 'rows':
      return rowLines(item, replay);
    case 'begin':
    case 'end':
    case 'prepared':
      return [];
  }
}

/** Statements of others that read or write nothing here are left out. */
function statementLines(sql: string, defaultDatabase: string, database: string): string[] {
  if (defaultDatabase !== database && !sql.includes(database)) return [];
  return [`statement ${sql.replace(DEFINER, 'DEFINER=<user>').replaceAll('\n', '⏎')}`];
}

function rowLines(item: SourceItem & { readonly type: 'rows' }, { options }: ReplayCase): string[] {
  const { op, layout, before, after, firstRowIndex } = item;
  const newest = after ?? before;
  if (newest === null) throw new Error('rows without images');
  return Array.from({ length: newest.count }, (_, i) => {
    const images = [before, after].flatMap((image) => (image === null ? [] : [textOf(image, i)]));
    const key = options.has('keys') ? ` key ${layout.key.length === 0 ? 'none' : keyOf(newest, i)}` : '';
    const index = options.has('transactions') ? `${firstRowIndex + i} ` : '';
    return `${index}${op} ${layout.table} ${images.join(' -> ')}${key}`;
  });
}

function textOf(images: RowImages, index: number): string {
  const target = Buffer.alloc(images.jsonBound(index, 'number'));
  return target.toString('utf8', 0, images.writeJson(index, target, 0, 'number'));
}

function keyOf(images: RowImages, index: number): string {
  const target = Buffer.alloc(images.jsonBound(index, 'number'));
  return target.toString('utf8', 0, images.writeKey(index, target, 0, 'number'));
}

function shorten(line: string): string {
  return line.replace(RUNS, (run, unit: string) => `⟦${unit}×${run.length / unit.length}⟧`);
}
