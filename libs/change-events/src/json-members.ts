/** One member of a JSON object, and where its value is in the bytes. */
export interface JsonMember {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const OPEN_ARRAY = 91;
const BACKSLASH = 92;
const CLOSE_ARRAY = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/**
 * The members of a JSON object that has no white space between its tokens, in their order; null for anything else. Their
 * values are passed over, not checked: what uses one parses it.
 */
export function findMembers(json: Buffer): readonly JsonMember[] | null {
  const members: JsonMember[] = [];
  if (json[0] !== OPEN_OBJECT) return null;
  if (json[1] === CLOSE_OBJECT) return json.length === 2 ? members : null;
  for (let at = 1; json[at] === QUOTE;) {
    const nameEnd = skipString(json, at);
    if (nameEnd < 0 || json[nameEnd] !== COLON) return null;
    const name = parseString(json, at, nameEnd);
    const end = skipValue(json, nameEnd + 1);
    if (name === null || end <= nameEnd + 1) return null;
    members.push({ name, start: nameEnd + 1, end });
    if (json[end] === CLOSE_OBJECT) return end === json.length - 1 ? members : null;
    if (json[end] !== COMMA) return null;
    at = end + 1;
  }
  return null;
}

function parseString(json: Buffer, start: number, end: number): string | null {
  try {
    return JSON.parse(json.toString('utf8', start, end)) as string;
  } catch {
    return null;
  }
}

/** Where the string that begins at `at` ends; -1 when it does not. */
function skipString(json: Buffer, at: number): number {
  for (let quote = json.indexOf(QUOTE, at + 1); quote >= 0; quote = json.indexOf(QUOTE, quote + 1)) {
    let backslashes = 0;
    while (json[quote - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return -1;
}

function skipValue(json: Buffer, from: number): number {
  if (json[from] === QUOTE) return skipString(json, from);
  let depth = 0;
  for (let at = from; at < json.length;) {
    const byte = json[at];
    if (byte === QUOTE) {
      at = skipString(json, at);
      if (at < 0) return -1;
      continue;
    }
    if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++;
    else if (depth === 0 && (byte === COMMA || byte === CLOSE_OBJECT)) return at;
    else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) depth--;
    at++;
  }
  return -1;
}
