/** What `node --cpu-prof` writes; times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Share {
  readonly name: string;
  readonly micros: number;
}

export interface ProfileSummary {
  /** Self time without idling, and idling, between the first and the last sample inside `dispatchRows`. */
  readonly totalMicros: number;
  readonly idleMicros: number;
  readonly byComponent: readonly Share[];
  readonly byFile: readonly Share[];
  readonly byFunction: readonly Share[];
}

/** Of the pipeline: every change of the log or of a read passes through one of these. */
const passages = new Set(['dispatchRows', 'dispatch']);

/** Cuts the start-up and the end off: only the time in which changes went through counts, all of it if none did. */
export function summarizeProfile({ nodes, samples, timeDeltas }: CpuProfile): ProfileSummary {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const inside = findDescendants(nodes, ({ functionName }) => passages.has(functionName));
  const first = Math.max(
    0,
    samples.findIndex((id) => inside.has(id)),
  );
  const found = samples.findLastIndex((id) => inside.has(id));
  const last = found < 0 ? samples.length - 1 : found;
  const tallies = {
    components: new Map<string, number>(),
    files: new Map<string, number>(),
    functions: new Map<string, number>(),
  };
  let [totalMicros, idleMicros] = [0, 0];
  for (let index = first; index <= last; index++) {
    const node = byId.get(samples[index] as number);
    // the delta stands before the sample that it belongs to
    const micros = timeDeltas[index + 1] ?? 0;
    if (node === undefined) continue;
    const { functionName, url, lineNumber } = node.callFrame;
    if (functionName === '(idle)') {
      idleMicros += micros;
      continue;
    }
    totalMicros += micros;
    const file = shortenUrl(url);
    add(tallies.components, componentOf(functionName, url), micros);
    add(tallies.files, file === '' ? functionName : file, micros);
    add(tallies.functions, `${functionName === '' ? 'anonymous' : functionName} ${file}:${lineNumber + 1}`, micros);
  }
  const { components, files, functions } = tallies;
  return { totalMicros, idleMicros, byComponent: rank(components), byFile: rank(files), byFunction: rank(functions) };
}

export function describeShare({ name, micros }: Share, totalMicros: number, rows: number | null): string {
  const share = `${((100 * micros) / totalMicros).toFixed(1).padStart(5)} %`;
  const perRow = rows === null ? '' : `${(micros / rows).toFixed(2).padStart(7)} µs/row`;
  return `${share}${perRow}  ${name}`;
}

/** A lib or app of this project, a package, Node itself, or what V8 calls in brackets: `(garbage collector)`, `(program)`. */
export function componentOf(functionName: string, url: string): string {
  const own = /\/dist\/((?:libs|apps)\/[^/]+)\/(?:src\/([^/]+)\/)?/.exec(url);
  if (own !== null) return own[2] === undefined ? String(own[1]) : `${own[1]}/${own[2]}`;
  const packages = [...url.matchAll(/\/node_modules\/((?:@[^/]+\/)?[^/]+)/g)];
  const name = packages.at(-1)?.[1];
  if (name !== undefined) return name;
  if (url.startsWith('node:')) return `node: ${url.slice(5).split('/')[0]}`;
  if (url !== '') return 'other';
  return functionName.startsWith('(') ? functionName : 'compiled code and built-ins';
}

function shortenUrl(url: string): string {
  return url.replace(/^.*\/(?=node_modules\/)/, '').replace(/^.*\/dist\//, '');
}

function findDescendants(
  nodes: CpuProfile['nodes'],
  isRoot: (frame: CpuProfile['nodes'][number]['callFrame']) => boolean,
): Set<number> {
  const children = new Map(nodes.map(({ id, children: ids = [] }) => [id, ids]));
  const found = new Set<number>();
  const pending = nodes.filter(({ callFrame }) => isRoot(callFrame)).map(({ id }) => id);
  for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
    found.add(id);
    pending.push(...(children.get(id) ?? []));
  }
  return found;
}

function add(tally: Map<string, number>, name: string, micros: number): void {
  tally.set(name, (tally.get(name) ?? 0) + micros);
}

function rank(tally: ReadonlyMap<string, number>): Share[] {
  return [...tally].map(([name, micros]) => ({ name, micros })).sort((a, b) => b.micros - a.micros);
}
