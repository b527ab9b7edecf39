import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type ConfigProblem, formatPath, type Path } from './problem.ts';

export interface ResolvedReferences {
  readonly tree: unknown;
  readonly problems: readonly ConfigProblem[];
  /** Paths whose text came from somewhere else. */
  readonly referenced: ReadonlySet<string>;
  /** For those from files: what reads the text again, or throws. By path. */
  readonly files: ReadonlyMap<string, () => string>;
}

interface Reference {
  readonly kind: 'env' | 'file';
  readonly name: string;
}

/**
 * Replaces each `{ env: NAME }` and `{ file: PATH }` by the text it refers to. A path is relative to `folder`; one line
 * end at the end of a file is not part of its text. What can't be resolved becomes a problem and empty text.
 */
export function resolveReferences(tree: unknown, environment: NodeJS.ProcessEnv, folder: string): ResolvedReferences {
  const problems: ConfigProblem[] = [];
  const referenced = new Set<string>();
  const files = new Map<string, () => string>();

  function visit(node: unknown, path: Path): unknown {
    if (Array.isArray(node)) return node.map((item, index) => visit(item, [...path, index]));
    if (typeof node !== 'object' || node === null) return node;
    const reference = asReference(node);
    if (!reference)
      return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, visit(value, [...path, key])]));
    referenced.add(formatPath(path));
    const found = reference.kind === 'env' ? readVariable(reference.name) : readText(reference.name, path);
    if (typeof found === 'string') return found;
    problems.push({ path, ...found });
    return unresolved;
  }

  function readVariable(name: string) {
    const value = environment[name];
    if (value !== undefined && value !== '') return value;
    // a secret that was written in place of a name is not shown
    const shown = /^[A-Z_][A-Z0-9_]*$/.test(name) ? `the environment variable ${name}` : 'the environment variable';
    return {
      problem: `${shown} is ${value === undefined ? 'not set' : 'empty'}`,
      remedy: 'Set it for this process; { env: NAME } takes the name of a variable of the environment.',
    };
  }

  function readText(name: string, path: Path) {
    const file = resolve(folder, name);
    const read = (): string => readFileSync(file, 'utf8').replace(/\r?\n$/, '');
    try {
      files.set(formatPath(path), read);
      return read();
    } catch (error) {
      return {
        problem: `the file that is named there can not be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
        remedy: `Give a file that exists and that this process may read; a path is relative to ${folder}.`,
      };
    }
  }

  return { tree: visit(tree, []), problems, referenced, files };
}

/** Stands for a value that could not be had: its path has a problem already, others are not reported for it. */
export const unresolved = Symbol('unresolved');

function asReference(node: object): Reference | null {
  const entries = Object.entries(node) as [string, unknown][];
  const [kind, name] = entries[0] ?? [];
  if (entries.length !== 1 || typeof name !== 'string' || (kind !== 'env' && kind !== 'file')) return null;
  return { kind, name };
}
