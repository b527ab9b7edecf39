import { type SqlToken } from './sql-tokens.ts';

export interface ParsedName {
  readonly database: string;
  readonly table: string;
}

/** Reads tokens forward. Everything that does not fit is answered with false or null, never thrown. */
export class TokenCursor {
  readonly #tokens: readonly SqlToken[];
  /** '' when there is none. */
  readonly defaultDatabase: string;
  #at = 0;

  constructor(tokens: readonly SqlToken[], defaultDatabase: string) {
    this.#tokens = tokens;
    this.defaultDatabase = defaultDatabase;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  /** Tokens from here to the end. */
  get remaining(): number {
    return this.#tokens.length - this.#at;
  }

  /** The tokens from here to the end. */
  rest(): readonly SqlToken[] {
    return this.#tokens.slice(this.#at);
  }

  /** The keyword `ahead` tokens from here; '' when there is no word. */
  keyword(ahead = 0): string {
    return this.#tokens[this.#at + ahead]?.keyword ?? '';
  }

  /** The text of a symbol `ahead` tokens from here; '' when there is none. */
  symbol(ahead = 0): string {
    const token = this.#tokens[this.#at + ahead];
    return token?.type === 'symbol' ? token.text : '';
  }

  skip(count = 1): void {
    this.#at += count;
  }

  /** Steps over the keyword when it is here. */
  take(...keywords: readonly string[]): boolean {
    const found = keywords.includes(this.keyword());
    if (found) this.#at++;
    return found;
  }

  /** Steps over these keywords when all are here in this order. */
  takeAll(...keywords: readonly string[]): boolean {
    const found = keywords.every((keyword, i) => this.keyword(i) === keyword);
    if (found) this.#at += keywords.length;
    return found;
  }

  takeSymbol(symbol: string): boolean {
    const found = this.symbol() === symbol;
    if (found) this.#at++;
    return found;
  }

  /** One identifier, or what may be written instead as a value of an option: a string. */
  takeIdentifier(): string | null {
    const token = this.#tokens[this.#at];
    if (token === undefined || token.type === 'symbol') return null;
    this.#at++;
    return token.text;
  }

  /** `table` or `database.table`. */
  takeTable(): ParsedName | null {
    const first = this.takeIdentifier();
    if (first === null) return null;
    if (!this.takeSymbol('.')) return { database: this.defaultDatabase, table: first };
    const table = this.takeIdentifier();
    return table === null ? null : { database: first, table };
  }

  /** Steps past the closing mark of the parenthesis that opens here; false when none opens or it does not close. */
  takeParentheses(): boolean {
    if (this.symbol() !== '(') return false;
    let depth = 0;
    for (; !this.isAtEnd; this.#at++) {
      if (this.symbol() === '(') depth++;
      else if (this.symbol() === ')' && --depth === 0) {
        this.#at++;
        return true;
      }
    }
    return false;
  }

  /** What is left, cut at the commas outside parentheses. */
  takeSegments(): TokenCursor[] {
    const segments: TokenCursor[] = [];
    let segment: SqlToken[] = [];
    let depth = 0;
    for (; !this.isAtEnd; this.#at++) {
      const symbol = this.symbol();
      if (symbol === '(') depth++;
      if (symbol === ')') depth--;
      if (symbol === ',' && depth === 0) {
        segments.push(new TokenCursor(segment, this.defaultDatabase));
        segment = [];
      } else segment.push(this.#tokens[this.#at] as SqlToken);
    }
    segments.push(new TokenCursor(segment, this.defaultDatabase));
    return segments;
  }
}
