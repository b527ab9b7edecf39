import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A small fault that is put into one line of the code, to see whether a spec notices it. */
export interface Fault {
  /** The file that it is put into, below the root of the project. */
  readonly file: string;
  /** What goes wrong. */
  readonly name: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** The spec that is known to notice it; null: none is. */
  readonly spec: string | null;
}

export function listNames(root: string): string[] {
  return globSync('tools/faults/*.txt', { cwd: root })
    .map((path) => path.replace(/^.*\/|\.txt$/g, ''))
    .sort();
}

export function readFaultList(root: string, list: string): Fault[] {
  return parseFaultList(readFileSync(join(root, 'tools', 'faults', `${list}.txt`), 'utf8'));
}

/**
 * A list has a line `= FILE` before the faults of a file, and of each fault its name, what it replaces in lines that
 * begin with `- `, what by in lines that begin with `+ ` (none: the text goes), and `> SPEC`. Empty lines separate faults.
 * @throws Error for a fault without a file, a name or a text
 */
export function parseFaultList(text: string): Fault[] {
  let file = '';
  const faults: Fault[] = [];
  for (const block of text.split(/\n\n+/)) {
    const lines = block.split('\n').filter((line) => line !== '');
    const of = (sign: string): string[] =>
      lines.filter((line) => line.startsWith(`${sign} `)).map((line) => line.slice(2));
    file = of('=')[0] ?? file;
    const [name] = lines.filter((line) => !/^[-+=>#] /.test(line));
    const [find, replace] = [of('-').join('\n'), of('+').join('\n')];
    if (name === undefined && find === '') continue;
    if (file === '' || name === undefined || find === '')
      throw new Error(`A fault has a file, a name and a text that it replaces: ${block}`);
    faults.push({ file, name, find, replace, spec: of('>')[0] ?? null });
  }
  return faults;
}

/** @throws Error unless the text that the fault replaces occurs exactly once */
export function insertFault(source: string, { file, name, find, replace }: Fault): string {
  const parts = source.split(find);
  if (parts.length !== 2)
    throw new Error(`${file} has ${parts.length - 1} times what the fault "${name}" replaces: ${find}`);
  return parts.join(replace);
}

/** The specs of the lib or app that the fault is in, those beside its file first. */
export function findSpecs(root: string, { file }: Fault): string[] {
  const [kind, lib] = file.split('/') as [string, string];
  const specs = globSync(`${kind}/${lib}/**/*.spec.ts`, { cwd: root })
    .filter((path) => !path.endsWith('-fuzz.spec.ts'))
    .sort();
  const folder = file.slice(0, file.lastIndexOf('/') + 1);
  const distance = (path: string): number =>
    path === file.replace(/\.ts$/, '.spec.ts') ? 0 : path.startsWith(folder) ? 1 : 2;
  return specs.sort((a, b) => distance(a) - distance(b));
}

/** By list, percent; null where it was not measured. From rows of the form `| replication | 75 | 98.6 % |`. */
export function readFaultScores(page: string): ReadonlyMap<string, number | null> {
  const rows = page.matchAll(/^\| ([a-z-]+) +\| \d+ +\| (?:([\d.]+) %|not measured) +\|$/gm);
  return new Map([...rows].map(([, list, score]) => [list as string, score === undefined ? null : Number(score)]));
}
