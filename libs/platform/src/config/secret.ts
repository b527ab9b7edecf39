import { inspect } from 'node:util';

const mask = '[secret]';

/**
 * Text that must not be seen: printing, logging, serialising or inspecting it gives `[secret]`. Call `reveal()` only
 * where the text is handed to a driver.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
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
