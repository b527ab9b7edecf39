import { containsDomains, type DomainEnd, formatDomains, isAtOrBehind, parseDomainGtid } from './gtid-domains.ts';
import { addNumber, containsIntervals, uniteIntervals } from './gtid-intervals.ts';
import { formatGtidSet, GtidSet, mixedGtids, parseGtid } from './gtid-set.ts';

const COLON = 58;
const DASH = 45;
const ZERO = 48;
/** More digits than this might not fit a double: the slow way looks closer. */
const SAFE_DIGITS = 15;

/**
 * A growing set of GTIDs for the stream's loop: `add` of the next number of the server seen last allocates nothing.
 * Not a value: use `toSet` for one. As a `GtidSet` it is of one kind of server; adding the other kind throws
 * `DITTO_POSITION_GTID_MIXED`.
 */
export class GtidAccumulator {
  readonly #bySid = new Map<string, number[]>();
  readonly #byDomain = new Map<number, { -readonly [K in keyof DomainEnd]: DomainEnd[K] }>();
  #lastSid = '';
  #lastIntervals: number[] = [];
  /** `domain-server` of the MariaDB GTID seen last, whose domain ends there. */
  #lastDomain = '';
  #lastEnd: { server: number; sequence: number } = { server: 0, sequence: 0 };

  constructor(from: GtidSet = GtidSet.empty) {
    this.addAll(from);
  }

  /**
   * Adds `uuid:number`, `uuid:tag:number` or MariaDB's `domain-server-sequence`, which brings everything of that domain
   * before it and never takes anything away; throws `DITTO_POSITION_GTID_INVALID` for anything else.
   */
  add(gtid: string): void {
    const start = this.#lastSid.length;
    if (start !== 0 && gtid.charCodeAt(start) === COLON && gtid.startsWith(this.#lastSid)) {
      const number = parseDigits(gtid, start + 1);
      if (number > 0) {
        addNumber(this.#lastIntervals, number);
        return;
      }
    }
    const domain = this.#lastDomain.length;
    if (domain !== 0 && gtid.charCodeAt(domain) === DASH && gtid.startsWith(this.#lastDomain)) {
      const sequence = parseDigits(gtid, domain + 1);
      if (sequence > this.#lastEnd.sequence) {
        this.#lastEnd.sequence = sequence;
        return;
      }
    }
    this.#addSlowly(gtid);
  }

  addAll(set: GtidSet): void {
    for (const [sid, intervals] of set.intervals) {
      if (this.#byDomain.size > 0) throw mixedGtids(this.toString(), set.toString());
      const own = this.#bySid.get(sid);
      this.#bySid.set(sid, own === undefined ? [...intervals] : uniteIntervals(own, intervals));
    }
    for (const [domain, end] of set.domains) this.#addDomain(domain, end, set.toString());
    this.#lastSid = '';
    this.#lastDomain = '';
  }

  contains(set: GtidSet): boolean {
    for (const [sid, intervals] of set.intervals) {
      if (this.#byDomain.size > 0) throw mixedGtids(this.toString(), set.toString());
      const own = this.#bySid.get(sid);
      if (own === undefined || !containsIntervals(own, intervals)) return false;
    }
    if (set.domains.size > 0 && this.#bySid.size > 0) throw mixedGtids(this.toString(), set.toString());
    return containsDomains(this.#byDomain, set.domains);
  }

  /** The same text as `toSet().toString()`, without the copy. */
  toString(): string {
    return this.#byDomain.size > 0 ? formatDomains(this.#byDomain) : formatGtidSet(this.#bySid);
  }

  toSet(): GtidSet {
    return GtidSet.fromIntervals(
      new Map([...this.#bySid].map(([sid, intervals]) => [sid, [...intervals]])),
      new Map([...this.#byDomain].map(([domain, end]) => [domain, { ...end }])),
    );
  }

  #addSlowly(gtid: string): void {
    const domain = parseDomainGtid(gtid.trim());
    if (domain === null) this.#addNumber(gtid);
    else this.#addDomain(domain.domain, domain.end, gtid);
  }

  #addNumber(gtid: string): void {
    const { sid, number } = parseGtid(gtid);
    if (this.#byDomain.size > 0) throw mixedGtids(this.toString(), gtid);
    let intervals = this.#bySid.get(sid);
    if (intervals === undefined) {
      intervals = [];
      this.#bySid.set(sid, intervals);
    }
    addNumber(intervals, number);
    this.#lastSid = sid;
    this.#lastIntervals = intervals;
  }

  #addDomain(domain: number, end: DomainEnd, text: string): void {
    if (this.#bySid.size > 0) throw mixedGtids(this.toString(), text);
    let own = this.#byDomain.get(domain);
    if (own === undefined) {
      own = { ...end };
      this.#byDomain.set(domain, own);
    } else if (!isAtOrBehind(own, end)) {
      own.server = end.server;
      own.sequence = end.sequence;
    }
    this.#lastDomain = `${domain}-${own.server}`;
    this.#lastEnd = own;
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
