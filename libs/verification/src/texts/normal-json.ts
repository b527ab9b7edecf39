import { normalNumber } from './normal-number.ts';

const SPACE = /[ \t\r\n]*/y;
const STRING = /"(?:[^"\\]|\\.)*"/sy;
const NUMBER = /-?\d[\d.eE+-]*/y;
const WORD = /true|false|null/y;

/** A JSON text in one form: members sorted, numbers by exact decimal value. Null for what is no JSON. */
export function normalJson(text: string): string | null {
  try {
    return new JsonText(text).normal();
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

class JsonText {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  normal(): string {
    const value = this.#value();
    this.#take(SPACE);
    if (this.#at < this.#text.length) throw new SyntaxError('more after the end');
    return value;
  }

  #value(): string {
    this.#take(SPACE);
    const first = this.#text[this.#at];
    if (first === '{') return this.#list('{', '}', () => this.#member());
    if (first === '[') return this.#list('[', ']', () => this.#value());
    if (first === '"') return this.#string();
    const scalar = this.#take(WORD) ?? normalNumber(this.#take(NUMBER) ?? '');
    if (scalar === null) throw new SyntaxError('no value');
    return scalar === '-0' ? '0' : scalar;
  }

  #member(): string {
    this.#take(SPACE);
    const name = this.#string();
    this.#expect(':');
    return `${name}:${this.#value()}`;
  }

  #list(open: string, close: string, read: () => string): string {
    this.#expect(open);
    const items: string[] = [];
    if (!this.#skip(close)) {
      do items.push(read());
      while (this.#skip(','));
      this.#expect(close);
    }
    // the names begin the texts of members; each is there once
    return `${open}${(open === '{' ? items.sort() : items).join(',')}${close}`;
  }

  #string(): string {
    const token = this.#take(STRING);
    if (token === null) throw new SyntaxError('no string');
    return JSON.stringify(JSON.parse(token));
  }

  #expect(character: string): void {
    if (!this.#skip(character)) throw new SyntaxError(`no ${character}`);
  }

  #skip(character: string): boolean {
    this.#take(SPACE);
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const [token] = pattern.exec(this.#text) ?? [];
    if (token === undefined) return null;
    this.#at += token.length;
    return token;
  }
}
