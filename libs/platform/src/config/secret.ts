import { inspect } from 'node:util';

const mask = '[secret]';

/**
 * Text that must not be seen: printing, logging, serialising or inspecting it gives `[secret]`. Call `reveal()` only
 * where the text is handed to a driver.
 */
export class Secret {
  #text: string;
  readonly #readAgain: (() => string) | null;

  /** @param readAgain reads the file that the text is from; throws when that can't be read */
  constructor(text: string, readAgain: (() => string) | null = null) {
    this.#text = text;
    this.#readAgain = readAgain;
  }

  reveal(): string {
    return this.#text;
  }

  /** What its file holds now, for whoever connects anew. The text as it was when it is from no file, or that is empty or gone. */
  revealNewest(): string {
    try {
      const text = this.#readAgain?.() ?? '';
      if (text !== '') this.#text = text;
    } catch {
      // the text that worked so far is the best guess; whether it still works is seen when it is used
    }
    return this.#text;
  }

  /** The same text, which is from that file. */
  withFile(readAgain: () => string): Secret {
    return new Secret(this.#text, readAgain);
  }

  toString(): string {
    return mask;
  }

  toJSON(): string {
    return mask;
  }

  [inspect.custom](): string {
    return mask;
  }
}
