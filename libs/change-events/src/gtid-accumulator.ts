import {
  containsDomains,
  type DomainEnd,
  type Domains,
  formatDomains,
  isAtOrBehind,
  parseDomainGtid,
} from './gtid-domains.ts';
import { addNumber, appendIntervals, containsIntervals, type Intervals, uniteIntervals } from './gtid-intervals.ts';
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

  get isEmpty(): boolean {
    return this.#bySid.size === 0 && this.#byDomain.size === 0;
  }

  /**
   * Adds `uuid:number`, `uuid:tag:number` or MariaDB's `domain-server-sequence`, which brings everything of that domain
   * before it and never takes anything away; throws `DITTO_POSITION_GTID_INVALID` for anything else.
   */
  add(gtid: string): void {
    if (isParsed(gtid)) {
      this.#addNumber(parsedSid, parsedNumber, gtid);
      return;
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
    this.#unite(set.intervals, set.domains, set);
  }

  /** Adds all of `other`, which stays as it is. */
  unite(other: GtidAccumulator): void {
    this.#unite(other.#bySid, other.#byDomain, other);
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

  #unite(bySid: ReadonlyMap<string, Intervals>, byDomain: Domains, from: GtidSet | GtidAccumulator): void {
    for (const [sid, intervals] of bySid) {
      if (this.#byDomain.size > 0) throw mixedGtids(this.toString(), from.toString());
      const own = this.#bySid.get(sid);
      if (own === undefined) this.#bySid.set(sid, [...intervals]);
      else if (!appendIntervals(own, intervals)) this.#bySid.set(sid, uniteIntervals(own, intervals));
    }
    for (const [domain, end] of byDomain) this.#addDomain(domain, end, from.toString());
    this.#lastSid = '';
    this.#lastDomain = '';
  }

  #addSlowly(gtid: string): void {
    const domain = parseDomainGtid(gtid.trim());
    if (domain !== null) {
      this.#addDomain(domain.domain, domain.end, gtid);
      return;
    }
    const { sid, number } = parseGtid(gtid);
    this.#addNumber(sid, number, gtid);
    keepParsed(gtid, sid, number);
  }

  #addNumber(sid: string, number: number, gtid: string): void {
    if (sid !== this.#lastSid) {
      if (this.#byDomain.size > 0) throw mixedGtids(this.toString(), gtid);
      let intervals = this.#bySid.get(sid);
      if (intervals === undefined) this.#bySid.set(sid, (intervals = []));
      this.#lastSid = sid;
      this.#lastIntervals = intervals;
    }
    addNumber(this.#lastIntervals, number);
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

/** The GTID of MySQL that was read last, taken apart: a transaction's is added to several sets. */
let parsedGtid = '';
let parsedSid = '';
let parsedNumber = 0;

function keepParsed(gtid: string, sid: string, number: number): void {
  parsedGtid = gtid;
  parsedSid = sid;
  parsedNumber = number;
}

/** Whether `gtid` is the one kept; the next of the same server becomes it without a search for its parts. */
function isParsed(gtid: string): boolean {
  if (gtid === parsedGtid) return parsedGtid !== '';
  const start = parsedSid.length;
  if (start === 0 || gtid.charCodeAt(start) !== COLON || !gtid.startsWith(parsedSid)) return false;
  const number = parseDigits(gtid, start + 1);
  if (number <= 0) return false;
  keepParsed(gtid, parsedSid, number);
  return true;
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
