/** What the next message of a key is, judged by the versions before it. */
export type Step = 'new' | 'repeat' | 'out-of-order';

const READ_ROW_INDEX = 'ffffffff';
const ROW_INDEX_AT = 28;

/**
 * The versions of one key's messages in the order they arrived. A version may grow, or go back to one that was seen:
 * then a suffix is being repeated, and everything after that place must come again in the same order. Only reads may be
 * left out of a repeat: a row is read again, with a new version.
 */
export class MessageOrder {
  readonly #seen: string[] = [];
  #at = -1;

  /** `marker` distinguishes a delete from the tombstone after it; they have the same version. */
  step(version: string, marker: '' | '~'): Step {
    const entry = version + marker;
    const last = this.#seen.at(-1);
    if (last === undefined || entry > last) {
      const complete = this.#onlyReadsBehind(this.#at + 1, this.#seen.length);
      this.#seen.push(entry);
      this.#at = this.#seen.length - 1;
      return complete ? 'new' : 'out-of-order';
    }
    const found = this.#seen.lastIndexOf(entry);
    if (found === -1) return 'out-of-order';
    const inOrder = found <= this.#at || this.#onlyReadsBehind(this.#at + 1, found);
    this.#at = found;
    return inOrder ? 'repeat' : 'out-of-order';
  }

  #onlyReadsBehind(from: number, to: number): boolean {
    for (let index = from; index < to; index++)
      if (!this.#seen[index]?.startsWith(READ_ROW_INDEX, ROW_INDEX_AT)) return false;
    return true;
  }
}
