import { addNumber, containsIntervals, uniteIntervals } from './gtid-intervals.ts';
import { formatGtidSet, GtidSet, parseGtid } from './gtid-set.ts';

const COLON = 58;
const ZERO = 48;
/** More digits than this might not fit a double: the slow way looks closer. */
const SAFE_DIGITS = 15;

/**
 * A growing set of GTIDs for the stream's loop: `add` of the next number of the server seen last allocates nothing.
 * Not a value: use `toSet` for one.
 */
export class GtidAccumulator {
  readonly #bySid = new Map<string, number[]>();
  #lastSid = '';
  #lastIntervals: number[] = [];

  constructor(from: GtidSet = GtidSet.empty) {
    this.addAll(from);
  }

  /** Adds `uuid:number` or `uuid:tag:number`; throws `DITTO_POSITION_GTID_INVALID` for anything else. */
  add(gtid: string): void {
    const start = this.#lastSid.length;
    if (start !== 0 && gtid.charCodeAt(start) === COLON && gtid.startsWith(this.#lastSid)) {
      const number = parseDigits(gtid, start + 1);
      if (number > 0) {
        addNumber(this.#lastIntervals, number);
        return;
      }
    }
    this.#addSlowly(gtid);
  }

  addAll(set: GtidSet): void {
    for (const [sid, intervals] of set.intervals) {
      const own = this.#bySid.get(sid);
      this.#bySid.set(sid, own === undefined ? [...intervals] : uniteIntervals(own, intervals));
    }
    this.#lastSid = '';
  }

  contains(set: GtidSet): boolean {
    for (const [sid, intervals] of set.intervals) {
      const own = this.#bySid.get(sid);
      if (own === undefined || !containsIntervals(own, intervals)) return false;
    }
    return true;
  }

  /** The same text as `toSet().toString()`, without the copy. */
  toString(): string {
    return formatGtidSet(this.#bySid);
  }

  toSet(): GtidSet {
    return GtidSet.fromIntervals(new Map([...this.#bySid].map(([sid, intervals]) => [sid, [...intervals]])));
  }

  #addSlowly(gtid: string): void {
    const { sid, number } = parseGtid(gtid);
    let intervals = this.#bySid.get(sid);
    if (intervals === undefined) {
      intervals = [];
      this.#bySid.set(sid, intervals);
    }
    addNumber(intervals, number);
    this.#lastSid = sid;
    this.#lastIntervals = intervals;
  }
}

/** The decimal number from `start` to the end of `text`; -1 when there is anything but 1 to 15 digits. */
function parseDigits(text: string, start: number): number {
  const length = text.length;
  if (length === start || length - start > SAFE_DIGITS) return -1;
  let value = 0;
  for (let i = start; i < length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
