import { isMap, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { type ConfigProblem, type Path } from './problem.ts';

export interface YamlFile {
  /** Null when the text is no YAML; then there are problems. */
  readonly tree: unknown;
  readonly problems: readonly ConfigProblem[];
  /** The line of what stands at a path, or of the nearest group around it; counted from 1. */
  lineOf(path: Path): number | null;
}

/** Reads YAML 1.2 (JSON too). Duplicate names, unknown tags and aliases to nowhere are problems. */
export function readYaml(text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const faults = [...document.errors, ...document.warnings];
  return {
    tree: faults.length > 0 ? null : (document.toJS() as unknown),
    problems: faults.map((fault) => {
      const { line, col } = lines.linePos(fault.pos[0]);
      return { path: [], problem: `line ${line}, column ${col}: ${fault.message}`, remedy: 'Mend the YAML there.' };
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
