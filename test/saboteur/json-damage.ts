import type { Random } from '../types/random.ts';

/**
 * JSON text with one bit of one value changed, or with another boolean, in the object that begins at `from`; null where
 * the value of that member has nothing to change. Names of members must be plain.
 */
export function damageMember(json: string, from: number, name: string, random: Random): string | null {
  const label = `"${name}":`;
  const first = json.startsWith(label, from + 1) ? from : json.indexOf(`,${label}`, from);
  if (first < 0) return null;
  const start = first + 1 + label.length;
  const end = endOfValue(json, start);
  const other = turnOneBit(json.slice(start, end), random);
  return other === null ? null : json.slice(0, start) + other + json.slice(end);
}

/** A digit of a number, a letter or digit of a text that is not part of an escape, one of a geometry's bytes. */
function turnOneBit(value: string, random: Random): string | null {
  if (value === 'null') return null;
  if (value === 'true' || value === 'false') return value === 'true' ? 'false' : 'true';
  const geometry = '{"wkb":';
  const from = value.startsWith(geometry) ? geometry.length : 0;
  const isText = value[from] === '"';
  const tokens = value.slice(from, isText ? endOfString(value, from) : undefined);
  const places = [...tokens.matchAll(isText ? /\\u[0-9a-fA-F]{4}|\\.|[\p{L}\p{N}]/gu : /\d/g)].flatMap(
    ({ 0: token, index }) => (token.length === 1 ? [from + index] : []),
  );
  if (places.length === 0) return null;
  const at = random.pick(places);
  return value.slice(0, at) + String.fromCharCode(value.charCodeAt(at) ^ 1) + value.slice(at + 1);
}

function endOfValue(json: string, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const character = json[at];
    if (character === '"') at = endOfString(json, at);
    else if (character === '{' || character === '[') depth++;
    else if (depth === 0 && (character === ',' || character === '}')) return at;
    else if (character === '}' || character === ']') depth--;
  }
  return json.length;
}

/** The place of its last quote. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at;
}
