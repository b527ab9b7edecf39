/** How many batches go by before created rows are tried with an insert again. */
const PAUSE_BATCHES = 32;

/**
 * Decides whether created rows are tried with an insert first: not for a while after a batch in which more than a
 * quarter of the documents were there already, as in a replay or a re-read.
 */
export class InsertFirst {
  #pause = 0;

  /** Asked once for each batch. */
  next(): boolean {
    if (this.#pause === 0) return true;
    this.#pause--;
    return false;
  }

  report(tried: number, notNew: number): void {
    if (notNew * 4 > tried) this.#pause = PAUSE_BATCHES;
  }
}
