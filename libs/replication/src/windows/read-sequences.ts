import { DittoError } from '#kernel';

/** Numbers that are reserved beyond those that are needed: one write to the store for so many reads. */
const RESERVED_AHEAD = 1000;
/** What a version has room for. */
const LAST = 0xffff_ffff;
/** An owner that starts beyond this begins a new lineage, whose reads are numbered from 1 again. */
const USED_UP = 0x8000_0000;

/** Whether a lineage has so few numbers left that its source should continue with another. */
export function areReadsUsedUp(reserved: number): boolean {
  return reserved >= USED_UP;
}

export interface ReadSequencesOptions {
  /** Highest number that any owner before has reserved in this lineage. */
  readonly reserved: number;
  /** Resolves when no later owner will be given a number up to this one. */
  readonly reserve: (upTo: number) => Promise<void>;
}

/**
 * Numbers the reads of one lineage, in the order in which they begin. What an owner has given to a sink under a number
 * may be there although nothing else records it, so a number must be secured before a sink sees it: no later owner takes
 * it again. Numbers that were reserved and not used are all that an owner costs, and one that reads nothing costs none.
 */
export class ReadSequences {
  readonly #reserve: ReadSequencesOptions['reserve'];
  #last: number;
  #reserved: number;
  #reserving: Promise<void> | null = null;

  constructor({ reserved, reserve }: ReadSequencesOptions) {
    this.#reserve = reserve;
    this.#last = reserved;
    this.#reserved = reserved;
  }

  /** Above all that were given before. The error when there are no more is retriable: another start has another lineage. */
  next(): number {
    if (this.#last < LAST) return ++this.#last;
    throw new DittoError('DITTO_PIPELINE_READS_USED_UP', 'this lineage has no number left for a read', {
      retriable: true,
      context: { last: this.#last },
    });
  }

  /** As `next`, for a number that nobody waits for: `secureAhead` must have resolved shortly before. */
  nextSecured(): number {
    const number = this.next();
    if (number > this.#reserved) throw new RangeError(`read ${number} was not secured, only ${this.#reserved} are`);
    return number;
  }

  /** Resolves when the number is this owner's for good. */
  async secure(number: number): Promise<void> {
    while (this.#reserved < number) await (this.#reserving ??= this.#reserveUpTo(number + RESERVED_AHEAD));
  }

  /** Secures those that come next. */
  secureAhead(): Promise<void> {
    return this.secure(Math.min(LAST, this.#last + RESERVED_AHEAD / 2));
  }

  async #reserveUpTo(number: number): Promise<void> {
    const upTo = Math.min(LAST, number);
    try {
      await this.#reserve(upTo);
      this.#reserved = upTo;
    } finally {
      this.#reserving = null;
    }
  }
}
