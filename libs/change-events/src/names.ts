import { DittoError } from '#kernel';

/** Kafka's limit for the name of a topic. */
const MAX_TOPIC_LENGTH = 249;
/** MongoDB's limit for the name of a database, in bytes. */
const MAX_DATABASE_BYTES = 63;
/** What MongoDB's limit for `database.collection`, 255 bytes, leaves behind the longest database name. */
const MAX_COLLECTION_BYTES = 255 - MAX_DATABASE_BYTES - 1;

export interface TableName {
  readonly database: string;
  readonly table: string;
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
 * Checks that Kafka can hold a topic for each table. All problems are in one `DITTO_TOPIC_NAMES_INVALID`: a prefix with
 * characters that Kafka forbids, names above 249 characters, and tables whose topics are one. Kafka itself refuses two
 * topics that differ only in `.` and `_`, so those collide here too.
 */
export function assertTopicNames(prefix: string, tables: Iterable<TableName>): void {
  const problems: string[] = [];
  if (!/^[A-Za-z0-9._-]+$/.test(prefix)) {
    problems.push(`the prefix "${prefix}" may hold only letters, digits, ".", "_" and "-"`);
  }
  const owners = new Map<string, { readonly owner: string; readonly topic: string }>();
  for (const { database, table } of tables) {
    const owner = `${database}.${table}`;
    const topic = topicName(prefix, database, table);
    if (topic.length > MAX_TOPIC_LENGTH) {
      problems.push(`the topic of ${owner} has ${topic.length} characters, ${MAX_TOPIC_LENGTH} are allowed`);
    }
    const form = topic.replaceAll('.', '_');
    const other = owners.get(form);
    if (other === undefined) owners.set(form, { owner, topic });
    else if (other.owner !== owner) problems.push(`${other.owner} (${other.topic}) and ${owner} (${topic}) collide`);
  }
  if (problems.length === 0) return;
  throw new DittoError('DITTO_TOPIC_NAMES_INVALID', `Topics can't be named: ${problems.join('; ')}.`, {
    remedy: 'Exclude or rename tables, or give the source a shorter topic prefix.',
    context: { prefix, problems },
  });
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
    remedy: 'Exclude or rename tables, or give the source a shorter name.',
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

/** Checks that each table can have a collection of its own; all problems are in one `DITTO_MIRROR_NAME_INVALID`. */
export function assertCollectionNames(tables: Iterable<TableName>): void {
  const problems: string[] = [];
  const owners = new Map<string, string>();
  for (const { database, table } of tables) {
    const owner = `${database}.${table}`;
    const name = escapeCollection(database, table);
    const other = owners.get(name);
    if (Buffer.byteLength(name) > MAX_COLLECTION_BYTES) problems.push(tooLong(name, MAX_COLLECTION_BYTES));
    if (other === undefined) owners.set(name, owner);
    else if (other !== owner) problems.push(`${other} and ${owner} are both called "${name}"`);
  }
  if (problems.length > 0) throw invalidMirrorName(problems);
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
