import { inspect } from 'node:util';

const MASK = '[secret]';

/** Text that may be from a file, which may change while this process runs. */
export class ConfiguredText {
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

  /**
   * What its file holds now, for a new connection. The text as it was when it is from no file, or the file is empty or
   * gone.
   */
  revealNewest(): string {
    this.keep(this.readNewest());
    return this.#text;
  }

  /** The same, and `reveal` stays as it is until that is kept. */
  readNewest(): string {
    try {
      const text = this.#readAgain?.() ?? '';
      return text === '' ? this.#text : text;
    } catch {
      // the text that worked so far is the best guess; whether it still works is seen when it is used
      return this.#text;
    }
  }

  keep(text: string): void {
    this.#text = text;
  }

  /** The same text, which is from that file. */
  withFile(readAgain: () => string): ConfiguredText {
    return new ConfiguredText(this.#text, readAgain);
  }

  toString(): string {
    return this.#text;
  }

  toJSON(): string {
    return this.#text;
  }
}

/**
 * Text that must not be seen: printing, logging, serialising or inspecting it gives `[secret]`. Call `reveal()` only
 * where the text is handed to a driver.
 */
export class Secret extends ConfiguredText {
  override withFile(readAgain: () => string): Secret {
    return new Secret(this.reveal(), readAgain);
  }

  override toString(): string {
    return MASK;
  }

  override toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}
