export interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  /** From 0, both. */
  readonly lineNumber: number;
  readonly columnNumber: number;
}

/** What `node --cpu-prof` writes; times in microseconds. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: CallFrame;
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
  /** Self time without idling, and idling, between the first and the last sample of a passing change. */
  readonly totalMicros: number;
  readonly idleMicros: number;
  /** By component and file: with the time of Node's functions and of built-ins that were called from there. */
  readonly byComponent: readonly Share[];
  readonly byFile: readonly Share[];
  readonly byFunction: readonly Share[];
}

/** Every change of the log or of a read passes through one of the first two, every page that verification compares through the last. */
const passages = new Set(['dispatchRows', 'dispatch', '#compareSome']);

/** Cuts the start-up and the end off: only the time in which changes went through counts, all of it if none did. */
export function summarizeProfile({ nodes, samples, timeDeltas }: CpuProfile): ProfileSummary {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const homes = findHomes(nodes);
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
    // the delta is before the sample that it belongs to
    const micros = timeDeltas[index + 1] ?? 0;
    if (node === undefined) continue;
    const { functionName, url, lineNumber } = node.callFrame;
    if (functionName === '(idle)') {
      idleMicros += micros;
      continue;
    }
    totalMicros += micros;
    const home = functionName.startsWith('(') ? '' : (homes.get(node.id) ?? url);
    const place = url === '' ? '' : ` ${shortenUrl(url)}:${lineNumber + 1}`;
    const caller = home === url || home === '' ? '' : ` from ${shortenUrl(home)}`;
    add(tallies.components, componentOf(functionName, home), micros);
    add(tallies.files, home === '' ? functionName : shortenUrl(home), micros);
    add(tallies.functions, `${functionName === '' ? 'anonymous' : functionName}${place}${caller}`, micros);
  }
  const { components, files, functions } = tallies;
  return { totalMicros, idleMicros, byComponent: rank(components), byFile: rank(files), byFunction: rank(functions) };
}

/** `microsPerRow` is what the kernel counted: the profile's own times hold waiting for a core too. */
export function describeShare({ name, micros }: Share, totalMicros: number, microsPerRow: number | null): string {
  const part = micros / totalMicros;
  const perRow = microsPerRow === null ? '' : `${(part * microsPerRow).toFixed(2).padStart(7)} µs/row`;
  return `${(100 * part).toFixed(1).padStart(5)} %${perRow}  ${name}`;
}

/** A lib or app of this project, a package, Node itself, or what V8 calls in brackets: `(garbage collector)`, `(program)`. */
export function componentOf(functionName: string, url: string): string {
  const packages = [...url.matchAll(/\/node_modules\/((?:@[^/]+\/)?[^/]+)/g)];
  const name = packages.at(-1)?.[1];
  if (name !== undefined) return name;
  const own = /\/((?:libs|apps)\/[^/]+)\/src\/(?:([^/]+)\/)?/.exec(url);
  if (own !== null) return own[2] === undefined ? String(own[1]) : `${own[1]}/${own[2]}`;
  if (url.startsWith('node:')) return `node: ${url.slice(5).split('/')[0]}`;
  if (url !== '') return 'other';
  return functionName.startsWith('(') ? functionName : 'built-ins';
}

function shortenUrl(url: string): string {
  return url.includes('/node_modules/')
    ? url.replace(/^.*\/node_modules\//, '')
    : url.replace(/^.*?\/(?=(?:libs|apps)\/)/, '');
}

/**
 * By node: its own file, and for Node's functions, built-ins and code made at run time the file of the nearest caller
 * that is none of these, if there is one.
 */
function findHomes(nodes: CpuProfile['nodes']): ReadonlyMap<number, string> {
  const homes = new Map<number, string>();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const [root] = nodes;
  const pending = root === undefined ? [] : [{ node: root, home: '' }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { url } = next.node.callFrame;
    const isOwn = url !== '' && !(url.startsWith('node:') && next.home !== '' && !next.home.startsWith('node:'));
    const home = isOwn ? url : next.home;
    homes.set(next.node.id, home);
    for (const id of next.node.children ?? []) {
      const node = byId.get(id);
      if (node !== undefined) pending.push({ node, home });
    }
  }
  return homes;
}

function findDescendants(nodes: CpuProfile['nodes'], isRoot: (frame: CallFrame) => boolean): Set<number> {
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
