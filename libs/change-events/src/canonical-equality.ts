import { cutText, DittoError, trimEndOf } from '#kernel';
import { type CanonicalValue, type Column } from './table-layout.ts';

const NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;

/** One text for each exact numeric value: `15e-1` for 1.5, 1.50 and 150e-2; `0` for every zero. */
export function normalizeNumber(text: string): string {
  const match = NUMBER.exec(text);
  const digits = match === null ? '' : (match[2] ?? '') + (match[3] ?? '');
  if (match === null || digits === '') {
    throw new DittoError('DITTO_VALUE_NUMBER_INVALID', `"${text}" is not a number.`, { context: { text } });
  }
  const significant = digits.replace(/^0+/, '');
  if (significant === '') return '0';
  const stripped = trimEndOf(significant, '0');
  const exponent = Number(match[4] ?? 0) - (match[3] ?? '').length + (significant.length - stripped.length);
  return `${match[1] === '-' ? '-' : ''}${stripped}e${exponent}`;
}

/** Strings with their quotes, numbers and words, and marks. */
const TOKEN = /\s*("(?:[^"\\]|\\.)*"|[-+.\w]+|[{}[\]:,])\s*/gsy;

class JsonNormalizer {
  readonly #text: string;
  readonly #tokens: string[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    let end = 0;
    TOKEN.lastIndex = 0;
    for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
      this.#tokens.push(match[1] as string);
      end = TOKEN.lastIndex;
      if (end === text.length) break;
    }
    if (end !== text.length) throw this.#invalid();
  }

  document(): string {
    const value = this.#value();
    if (this.#at !== this.#tokens.length) throw this.#invalid();
    return value;
  }

  #value(): string {
    const token = this.#next();
    if (token === '{') return this.#object();
    if (token === '[') return this.#array();
    if (token === 'true' || token === 'false' || token === 'null') return token;
    return token.startsWith('"') ? this.#string(token) : normalizeNumber(token);
  }

  #object(): string {
    const members = new Map<string, string>();
    if (this.#tokens[this.#at] === '}') this.#at++;
    else {
      do {
        const name = this.#string(this.#next());
        if (this.#next() !== ':') throw this.#invalid();
        members.set(name, this.#value());
      } while (this.#continues('}'));
    }
    const names = [...members.keys()].sort();
    return `{${names.map((name) => `${name}:${members.get(name) ?? ''}`).join(',')}}`;
  }

  #array(): string {
    const items: string[] = [];
    if (this.#tokens[this.#at] === ']') this.#at++;
    else {
      do items.push(this.#value());
      while (this.#continues(']'));
    }
    return `[${items.join(',')}]`;
  }

  #continues(end: string): boolean {
    const token = this.#next();
    if (token !== ',' && token !== end) throw this.#invalid();
    return token === ',';
  }

  /** The same string written one way: 'A' may be written as a Unicode escape too. */
  #string(token: string): string {
    try {
      const value: unknown = JSON.parse(token);
      if (typeof value === 'string') return JSON.stringify(value);
    } catch (error) {
      throw this.#invalid(error);
    }
    throw this.#invalid();
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw this.#invalid();
    return token;
  }

  #invalid(cause?: unknown): DittoError {
    const text = cutText(this.#text, 200);
    return new DittoError('DITTO_VALUE_JSON_INVALID', `Not a JSON document: ${text}`, { context: { text }, cause });
  }
}

/**
 * One text for all JSON texts that mean the same document: member names sorted, numbers by exact decimal value, strings
 * escaped alike, no white space. For comparison and hashes only. Throws `DITTO_VALUE_JSON_INVALID`.
 */
export function normalizeJson(text: string): string {
  return new JsonNormalizer(text).document();
}

/**
 * Whether two canonical values of a column say the same: 1.50 and 1.5 in a DECIMAL do, JSON documents do by exact
 * numeric value and whatever their key order; text differs by a single byte, times by a single microsecond. -0 is 0, as
 * in MySQL. Throws `DITTO_VALUE_JSON_INVALID` or `DITTO_VALUE_NUMBER_INVALID` for what is not canonical.
 */
export function canonicalEquals(column: Column, a: CanonicalValue, b: CanonicalValue): boolean {
  if (a === b) return true;
  if (a === null || b === null) return false;
  switch (column.kind) {
    case 'decimal':
      return normalizeNumber(String(a)) === normalizeNumber(String(b));
    case 'bigint':
      return String(a) === String(b);
    case 'json':
      return normalizeJson(String(a)) === normalizeJson(String(b));
    case 'bytes':
    case 'bits':
    case 'geometry':
    case 'vector':
      return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0;
    case 'integer':
    case 'float':
    case 'double':
    case 'boolean':
    case 'text':
    case 'enum':
    case 'set':
    case 'date':
    case 'time':
    case 'datetime':
    case 'timestamp':
      return false; // not `a === b`
  }
}
