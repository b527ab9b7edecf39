import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';

const SECTIONS = ['title', 'options', 'excluded', 'setup', 'sql', 'cleanup', 'events'] as const;
const OPTIONS = ['transactions', 'keys'] as const;

type Section = (typeof SECTIONS)[number];
export type ReplayOption = (typeof OPTIONS)[number];

export interface ReplayStatement {
  readonly sql: string;
  /** The server's error that the statement must fail with; null: it must succeed. */
  readonly fails: string | null;
}

/** A replay file: SQL in, events out (see the README of this lib). */
export interface ReplayCase {
  readonly path: string;
  /** `types/decimal` */
  readonly name: string;
  readonly title: string;
  readonly options: ReadonlySet<ReplayOption>;
  /** Tables that the source does not include. */
  readonly excluded: readonly string[];
  readonly setup: readonly ReplayStatement[];
  readonly sql: readonly ReplayStatement[];
  /** What must be undone on the server before the database can be dropped. */
  readonly cleanup: readonly ReplayStatement[];
  readonly events: readonly string[];
}

const root = join(import.meta.dirname, 'replay');

/** All replay files, by area and name. */
export function readReplayCases(): ReplayCase[] {
  return globSync('*/*.replay', { cwd: root })
    .sort()
    .map((name) => parseReplayCase(join(root, name), readFileSync(join(root, name), 'utf8')));
}

/** Throws when a section is unknown, or one of title, sql and events is missing. */
export function parseReplayCase(path: string, text: string): ReplayCase {
  const sections = readSections(path, text);
  const lines = (section: Section): string[] => (sections.get(section) ?? []).filter((line) => line.trim() !== '');
  for (const section of ['title', 'sql', 'events'] as const)
    if (!sections.has(section)) throw new Error(`${path} has no section -- ${section}`);
  return {
    path,
    name: join(dirname(relative(root, path)), basename(path, '.replay')),
    title: lines('title').join(' '),
    options: new Set(lines('options').map((word) => readOption(path, word.trim()))),
    excluded: lines('excluded').map((line) => line.trim()),
    setup: splitStatements(path, sections.get('setup') ?? []),
    sql: splitStatements(path, sections.get('sql') ?? []),
    cleanup: splitStatements(path, sections.get('cleanup') ?? []),
    events: lines('events'),
  };
}

/** Writes the events section again; everything above it stays. */
export function writeEvents({ path }: ReplayCase, events: readonly string[]): void {
  const text = readFileSync(path, 'utf8');
  const marker = '\n-- events\n';
  const head = text.slice(0, text.indexOf(marker) + marker.length);
  writeFileSync(path, head + events.map((line) => `${line}\n`).join(''));
}

function readSections(path: string, text: string): Map<Section, string[]> {
  const sections = new Map<Section, string[]>();
  let current: string[] | null = null;
  for (const line of text.split('\n')) {
    const section = SECTIONS.find((name) => line.trim() === `-- ${name}`);
    if (section !== undefined) {
      if (sections.has(section)) throw new Error(`${path} has two sections -- ${section}`);
      current = [];
      sections.set(section, current);
    } else if (current !== null) current.push(line);
    else if (line.trim() !== '') throw new Error(`${path}: text before the first section: ${line}`);
  }
  return sections;
}

function readOption(path: string, word: string): ReplayOption {
  const option = OPTIONS.find((name) => name === word);
  if (option === undefined) throw new Error(`${path}: unknown option ${word}`);
  return option;
}

/** As the mysql client splits: a terminator at the end of a line, DELIMITER changes it. */
function splitStatements(path: string, lines: readonly string[]): ReplayStatement[] {
  const statements: ReplayStatement[] = [];
  let delimiter = ';';
  let fails: string | null = null;
  let pending = '';
  for (const line of lines) {
    if (pending === '' && line.trim() === '') continue;
    const directive = pending === '' ? /^(DELIMITER|-- fails) (\S+)$/.exec(line) : null;
    if (directive?.[1] === 'DELIMITER') delimiter = directive[2] ?? ';';
    else if (directive !== null) fails = directive[2] ?? null;
    else {
      pending += pending === '' ? line : `\n${line}`;
      if (!pending.endsWith(delimiter)) continue;
      statements.push({ sql: pending.slice(0, -delimiter.length), fails });
      pending = '';
      fails = null;
    }
  }
  if (pending !== '') throw new Error(`${path}: a statement without ${delimiter} at its end: ${pending}`);
  return statements;
}
