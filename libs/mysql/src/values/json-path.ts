/** One step of a path: a member of an object, or a cell of an array counted from its begin or from its end. */
export type JsonPathLeg = { readonly member: string } | { readonly cell: number; readonly fromEnd: boolean };

const MEMBER = /\s*\.\s*(?:("(?:[^"\\]|\\.)*")|([^\s[.*"]+))\s*/y;
const CELL = /\s*\[\s*(?:(last)(?:\s*-\s*(\d+))?|(\d+))\s*\]\s*/y;

/**
 * The legs of a path that names one place: `$.name`, `$."any name"`, `$[3]`, `$[last]`, `$[last-2]` (MySQL source,
 * `sql-common/json_path.cc`). Throws on anything else, wildcards and ranges too.
 */
export function parseJsonPath(path: string): JsonPathLeg[] {
  const scope = /^\s*\$\s*/.exec(path);
  if (scope === null) throw new SyntaxError(`not a JSON path: ${path}`);
  const legs: JsonPathLeg[] = [];
  let at = scope[0].length;
  while (at < path.length) {
    const kind = path[at] === '[' ? CELL : MEMBER;
    kind.lastIndex = at;
    const match = kind.exec(path);
    if (match === null) throw new SyntaxError(`not a path to one place in a JSON document: ${path}`);
    legs.push(kind === CELL ? cellLeg(match) : { member: memberName(match[1] ?? `"${match[2] ?? ''}"`) });
    at = kind.lastIndex;
  }
  return legs;
}

function cellLeg([, last, back, index]: RegExpExecArray): JsonPathLeg {
  return last === undefined ? { cell: Number(index), fromEnd: false } : { cell: Number(back ?? 0), fromEnd: true };
}

/** Names are written with JSON's escapes, quoted or not. */
function memberName(quoted: string): string {
  return JSON.parse(quoted) as string;
}
