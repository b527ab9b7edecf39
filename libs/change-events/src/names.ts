import { DittoError, RESYNC } from '#kernel';

/** Kafka's limit for the name of a topic. */
const MAX_TOPIC_LENGTH = 249;
/** MongoDB's limit for the name of a database, in bytes. */
const MAX_DATABASE_BYTES = 63;
/** What MongoDB's limit for `database.collection`, 255 bytes, leaves after the longest database name. */
const MAX_COLLECTION_BYTES = 255 - MAX_DATABASE_BYTES - 1;

export interface TableName {
  readonly database: string;
  readonly table: string;
}

/** One text for each table, for maps: a name of MySQL or MariaDB can hold any character but NUL. */
export function tableKey({ database, table }: TableName): string {
  return `${database}\0${table}`;
}

/** Each table once. */
export function distinctTables(tables: readonly TableName[]): TableName[] {
  return [...new Map(tables.map((table) => [tableKey(table), table])).values()];
}

/** What has a meaning of its own in a pattern, or is trimmed from one. */
const QUOTED = /[.*`\s]/;

function quoteName(name: string): string {
  return QUOTED.test(name) ? `\`${name.replaceAll('`', '``')}\`` : name;
}

/**
 * One text for each table, for people and for keys that people look at: `shop.orders`, and with backquotes where a name
 * needs them, `` `a.b`.c ``; the pattern of the configuration that matches this table alone.
 */
export function formatTableName({ database, table }: TableName): string {
  return `${quoteName(database)}.${quoteName(table)}`;
}

/** Two names, each plain or in backquotes; the first point outside backquotes separates them. */
const TABLE_NAME = /^(`(?:[^`]|``)+`|[^`.]+)\.(`(?:[^`]|``)+`|[^`]+)$/;

/** Database and table of a text such as `formatTableName` writes, unchanged; null for any other text. */
export function splitTableName(text: string): readonly [database: string, table: string] | null {
  const [, database, table] = TABLE_NAME.exec(text.trim()) ?? [];
  return database === undefined || table === undefined ? null : [database, table];
}

/** The inverse of `formatTableName`; names that need no backquotes may have them, and a table's name need not. */
export function parseTableName(text: string): TableName | null {
  const parts = splitTableName(text)?.map((name) =>
    name.startsWith('`') ? name.slice(1, -1).replaceAll('``', '`') : name,
  );
  return parts === undefined ? null : { database: parts[0] ?? '', table: parts[1] ?? '' };
}

function escapeUnit(character: string): string {
  return `_x${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
}

function escapeTopicPart(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, escapeUnit);
}

/** `<prefix>.<database>.<table>`; characters of the last two outside `[A-Za-z0-9_-]` become `_xHHHH` (UTF-16 units). */
export function topicName(prefix: string, database: string, table: string): string {
  return `${prefix}.${escapeTopicPart(database)}.${escapeTopicPart(table)}`;
}

/**
 * The names that the tables of a source have in one sink. A table is taken in only when its name is one that the sink
 * can hold, and no other table's: the same check for tables that are there at the start and for those that come later.
 */
export abstract class TableNames {
  readonly #owners = new Map<string, TableName>();

  /** Throws a coded error unless the table can have a name of its own. Repeatable. */
  claim(table: TableName): void {
    this.claimAll([table]);
  }

  /** As `claim`; all that is wrong is in one error. */
  claimAll(tables: Iterable<TableName>): void {
    const problems = [...tables].flatMap((table) => this.#take(table) ?? []);
    if (problems.length > 0) throw this.refuse(problems);
  }

  /** The table does not exist any more; another may have its name. */
  release(table: TableName): void {
    const form = this.formOf(this.nameOf(table));
    const owner = this.#owners.get(form);
    if (owner !== undefined && tableKey(owner) === tableKey(table)) this.#owners.delete(form);
  }

  protected abstract nameOf(table: TableName): string;
  /** Equal for names that the sink can't hold side by side. */
  protected abstract formOf(name: string): string;
  /** Why the sink can't hold the name of the table; null when it can. */
  protected abstract limitOf(name: string, table: TableName): string | null;
  protected abstract refuse(problems: readonly string[]): DittoError;

  #take(table: TableName): string | null {
    const name = this.nameOf(table);
    const tooLong = this.limitOf(name, table);
    if (tooLong !== null) return tooLong;
    const form = this.formOf(name);
    const owner = this.#owners.get(form) ?? table;
    this.#owners.set(form, owner);
    if (tableKey(owner) === tableKey(table)) return null;
    return `${formatTableName(owner)} (${this.nameOf(owner)}) and ${formatTableName(table)} (${name}) collide`;
  }
}

/** The way out that works also for a table that came while its source was read: its CREATE TABLE stays in the log. */
const OTHER_NAMES = `Exclude one of the tables (\`exclude\` in ditto.yaml) and restart the source; or rename it, and ${RESYNC}.`;

/**
 * Topics. A collision is also one of names that differ only in `.` and `_`: Kafka refuses them side by side. Throws
 * `DITTO_TOPIC_NAMES_INVALID`, also for a prefix with characters that Kafka forbids.
 */
export class TopicNames extends TableNames {
  readonly #prefix: string;

  constructor(prefix: string) {
    super();
    this.#prefix = prefix;
  }

  override claimAll(tables: Iterable<TableName>): void {
    if (/^[A-Za-z0-9._-]+$/.test(this.#prefix)) super.claimAll(tables);
    else throw this.refuse([`the prefix "${this.#prefix}" may hold only letters, digits, ".", "_" and "-"`]);
  }

  protected override nameOf({ database, table }: TableName): string {
    return topicName(this.#prefix, database, table);
  }

  protected override formOf(name: string): string {
    return name.replaceAll('.', '_');
  }

  protected override limitOf({ length }: string, table: TableName): string | null {
    if (length <= MAX_TOPIC_LENGTH) return null;
    return `the topic of ${formatTableName(table)} has ${length} characters, ${MAX_TOPIC_LENGTH} are allowed`;
  }

  protected override refuse(problems: readonly string[]): DittoError {
    return new DittoError('DITTO_TOPIC_NAMES_INVALID', `Topics can't be named: ${problems.join('; ')}.`, {
      remedy: `${OTHER_NAMES} A shorter name of the source makes shorter topics.`,
      context: { prefix: this.#prefix, problems },
    });
  }
}

function escapeCollection(database: string, table: string): string {
  // eslint-disable-next-line no-control-regex -- NUL ends a collection's name
  const forbidden = /[.$\u0000]/g;
  const first = database === 'system' ? '_x0073ystem' : database.replace(forbidden, escapeUnit);
  return `${first}.${table.replace(forbidden, escapeUnit)}`;
}

function tooLong(name: string, limit: number): string {
  return `"${name}" has ${Buffer.byteLength(name)} bytes, ${limit} are allowed`;
}

function invalidMirrorName(problems: readonly string[]): DittoError {
  return new DittoError('DITTO_MIRROR_NAME_INVALID', `MongoDB can't hold these names: ${problems.join('; ')}.`, {
    remedy: `${OTHER_NAMES} For the name of a database, give the source a shorter one.`,
    context: { problems },
  });
}

/**
 * `<database>.<table>` as MongoDB takes it: `.`, `$` and NUL become `_xHHHH` in both parts, and a database called
 * `system`, whose collections MongoDB keeps for itself, `_x0073ystem`. Throws `DITTO_MIRROR_NAME_INVALID` when too long.
 */
export function collectionName(database: string, table: string): string {
  const name = escapeCollection(database, table);
  if (Buffer.byteLength(name) > MAX_COLLECTION_BYTES) throw invalidMirrorName([tooLong(name, MAX_COLLECTION_BYTES)]);
  return name;
}

/** The table of a collection that `collectionName` has named; null when it names none so. */
export function parseCollectionName(name: string): TableName | null {
  const unescape = (part: string): string =>
    part.replace(/_x([0-9A-F]{4})/g, (_, unit: string) => String.fromCharCode(parseInt(unit, 16)));
  const dot = name.indexOf('.');
  const table = { database: unescape(name.slice(0, Math.max(0, dot))), table: unescape(name.slice(dot + 1)) };
  return dot > 0 && escapeCollection(table.database, table.table) === name ? table : null;
}

/** Collections. Throws `DITTO_MIRROR_NAME_INVALID`. */
export class CollectionNames extends TableNames {
  protected override nameOf({ database, table }: TableName): string {
    return escapeCollection(database, table);
  }

  protected override formOf(name: string): string {
    return name;
  }

  protected override limitOf(name: string): string | null {
    return Buffer.byteLength(name) > MAX_COLLECTION_BYTES ? tooLong(name, MAX_COLLECTION_BYTES) : null;
  }

  protected override refuse(problems: readonly string[]): DittoError {
    return invalidMirrorName(problems);
  }
}

/**
 * The MongoDB database of a source: `ditto_<source>`, characters outside `[a-z0-9_-]` as `_xHHHH` (capitals too: MongoDB
 * holds names that differ only in case for one).
 */
export function mirrorDatabaseName(source: string): string {
  const name = `ditto_${source.replace(/[^a-z0-9_-]/g, escapeUnit)}`;
  if (name.length > MAX_DATABASE_BYTES) throw invalidMirrorName([tooLong(name, MAX_DATABASE_BYTES)]);
  return name;
}
