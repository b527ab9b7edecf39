import { isCollection, isMap, isSeq, LineCounter, type Node, parseDocument, visit } from 'yaml';
import { type ConfigProblem, type Path } from './problem.ts';

export interface YamlFile {
  /** Null when the text is no YAML; then there are problems. */
  readonly tree: unknown;
  readonly problems: readonly ConfigProblem[];
  /** The line of what is at a path, or of the nearest group around it; counted from 1. */
  lineOf(path: Path): number | null;
}

/** The library's own messages quote the file, which holds secrets. */
const FAULTS: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'an alias (*name) without an anchor (&name) before it',
  DUPLICATE_KEY: 'a name that the group has already',
  TAG_RESOLVE_FAILED: 'a tag (!name) that is not known',
  BAD_INDENT: 'the indentation does not fit',
  MISSING_CHAR: 'a mark is missing, such as a quote, a comma or a bracket',
  TAB_AS_INDENT: 'a tab is used to indent',
  COLLECTION_KEY: 'a list or a group is used as a name',
  MULTIPLE_DOCS: 'a second document begins',
};

/** Reads YAML 1.2 (JSON too). Duplicate names, unknown tags and aliases to nowhere are problems. */
export function readYaml(text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const faults: { readonly code: string; readonly pos: readonly number[] }[] = [
    ...document.errors,
    ...document.warnings,
  ];
  visit(document, {
    Pair: (_, pair) => {
      if (isCollection(pair.key)) faults.push({ code: 'COLLECTION_KEY', pos: pair.key.range ?? [0] });
    },
    Alias: (_, alias) => {
      if (alias.resolve(document) === undefined) faults.push({ code: 'BAD_ALIAS', pos: alias.range ?? [0] });
    },
  });
  return {
    tree: faults.length > 0 ? null : (document.toJS() as unknown),
    problems: faults.map(({ code, pos: [offset = 0] }) => {
      const { line, col } = lines.linePos(offset);
      return {
        path: [],
        problem: `line ${line}, column ${col}: ${FAULTS[code] ?? `is not YAML (${code})`}`,
        remedy: 'Correct the YAML there; text with marks such as * & ! : # { [ needs quotes.',
      };
    }),
    lineOf: (path) => {
      const offset = findOffset(document.contents, path);
      return offset === null ? null : lines.linePos(offset).line;
    },
  };
}

function findOffset(root: Node | null, path: Path): number | null {
  let node: unknown = root;
  let offset: number | null = null;
  for (const part of path) {
    if (isMap<{ value?: unknown; range?: readonly number[] | null }>(node)) {
      const pair = node.items.find(({ key }) => key.value === part);
      if (!pair) return offset;
      offset = pair.key.range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq<{ range?: readonly number[] | null }>(node)) {
      const item = node.items[Number(part)];
      if (!item) return offset;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else return offset;
  }
  return offset;
}
