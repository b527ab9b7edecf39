import { DittoError, RESYNC } from '#kernel';
import {
  containsDomains,
  type DomainEnd,
  type Domains,
  formatDomains,
  intersectDomains,
  parseDomainGtid,
  subtractDomains,
  uniteDomains,
} from './gtid-domains.ts';
import {
  containsIntervals,
  containsNumber,
  formatIntervals,
  type Intervals,
  intersectIntervals,
  normalizeIntervals,
  subtractIntervals,
  uniteIntervals,
} from './gtid-intervals.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TAG = /^[a-z_][a-z0-9_]{0,31}$/;
const INTERVAL = /^(\d+)(?:-(\d+))?$/;
const UUID_LENGTH = 36;
const WRITTEN_GTID =
  /^(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?::[a-z_][a-z0-9_]{0,31})?:[1-9]\d{0,15}|\d{1,10}-\d{1,10}-\d{1,16})$/;

export function invalidGtid(text: string, reason: string): DittoError {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return new DittoError('DITTO_POSITION_GTID_INVALID', `Not a GTID set: ${reason} in "${shown}".`, {
    remedy:
      "Give GTID sets as the server prints them: 'uuid:1-5' from MySQL's @@global.gtid_executed, '0-1-5' from MariaDB's @@global.gtid_binlog_pos.",
    context: { text: shown },
  });
}

/** Sets of MySQL and of MariaDB have nothing to say about each other. */
export function mixedGtids(text: string, other: string): DittoError {
  const shown = [text, other].map((one) => (one.length > 100 ? `${one.slice(0, 100)}…` : one));
  return new DittoError(
    'DITTO_POSITION_GTID_MIXED',
    `GTIDs of MySQL and of MariaDB can't be compared: "${shown[0]}" and "${shown[1]}".`,
    {
      remedy: `Use a server of the kind that the source had; for a source that moved to the other kind: ${RESYNC}.`,
      context: { gtids: shown },
    },
  );
}

function parseNumber(digits: string, text: string): number {
  const value = Number(digits);
  if (value < 1) throw invalidGtid(text, 'transaction numbers begin at 1');
  if (!Number.isSafeInteger(value)) throw invalidGtid(text, `the transaction number ${digits} is above 2^53-1`);
  return value;
}

function parseInterval(part: string, text: string): readonly [number, number] | null {
  const match = INTERVAL.exec(part);
  if (match === null) return null;
  const start = parseNumber(match[1] as string, text);
  const end = match[2] === undefined ? start : parseNumber(match[2], text);
  if (end < start) throw invalidGtid(text, `the interval ${part} ends before it begins`);
  return [start, end];
}

/** Parses one `uuid[:tag]:interval…[:tag:interval…]` (MySQL manual, "GTID Sets"), already lower case without white space. */
function parseUuidSet(item: string, text: string, into: Map<string, (readonly [number, number])[]>): void {
  const parts = item.split(':');
  const uuid = parts[0] as string;
  if (!UUID.test(uuid)) throw invalidGtid(text, `"${uuid}" is not a server UUID`);
  let sid = uuid;
  let expectsInterval = true;
  for (const part of parts.slice(1)) {
    const interval = parseInterval(part, text);
    if (interval !== null) {
      const known = into.get(sid);
      if (known === undefined) into.set(sid, [interval]);
      else known.push(interval);
      expectsInterval = false;
    } else {
      if (!TAG.test(part)) throw invalidGtid(text, `"${part}" is neither an interval nor a tag`);
      if (sid !== uuid && expectsInterval) throw invalidGtid(text, `the tag before "${part}" has no interval`);
      sid = `${uuid}:${part}`;
      expectsInterval = true;
    }
  }
  if (expectsInterval) throw invalidGtid(text, `"${sid}" has no interval`);
}

/** A GTID taken apart: `uuid` or `uuid:tag`, and the transaction number. */
export function parseGtid(gtid: string): { readonly sid: string; readonly number: number } {
  const text = gtid.trim().toLowerCase();
  const colon = text.lastIndexOf(':');
  const sid = text.slice(0, Math.max(colon, 0));
  const uuid = sid.slice(0, UUID_LENGTH);
  const tag = sid.slice(UUID_LENGTH);
  const digits = text.slice(colon + 1);
  const tagIsValid = tag === '' || (tag.startsWith(':') && TAG.test(tag.slice(1)));
  if (!UUID.test(uuid) || !tagIsValid || !/^\d+$/.test(digits)) throw invalidGtid(gtid, 'no single GTID');
  return { sid, number: parseNumber(digits, gtid) };
}

/** Whether a text has the form of one GTID, of MySQL or of MariaDB, as Ditto writes it into documents and messages. */
export function isGtid(text: string): boolean {
  return WRITTEN_GTID.test(text);
}

const NO_INTERVALS: ReadonlyMap<string, Intervals> = new Map();
const NO_DOMAINS: Domains = new Map();

/**
 * An immutable set of GTIDs, of MySQL or of MariaDB; never of both (`DITTO_POSITION_GTID_MIXED`). The empty set goes
 * with either.
 *
 * MySQL: `uuid:number`, or `uuid:tag:number` since MySQL 8.3, kept as intervals. MariaDB: `domain-server-sequence`; the
 * set holds one for each domain and means everything of that domain up to it, in the order of its sequence numbers
 * (which takes `gtid_strict_mode=ON`). What is not such a prefix is not a set there: `subtract` gives the ends of the
 * domains that reach further.
 *
 * Numbers up to 2^53-1 are served; a higher one (both servers allow more) is refused with
 * `DITTO_POSITION_GTID_INVALID`, never rounded.
 */
export class GtidSet {
  /** By `uuid` or `uuid:tag`; no entry is empty. */
  readonly #bySid: ReadonlyMap<string, Intervals>;
  /** Of MariaDB; empty when there are intervals. */
  readonly #byDomain: Domains;
  #text: string | null = null;

  private constructor(bySid: ReadonlyMap<string, Intervals>, byDomain: Domains) {
    this.#bySid = bySid;
    this.#byDomain = byDomain;
    if (bySid.size > 0 && byDomain.size > 0) throw mixedGtids(formatGtidSet(bySid), formatDomains(byDomain));
  }

  static get empty(): GtidSet {
    return emptySet;
  }

  /**
   * Reads the text form of MySQL or MariaDB; white space, letter case, order, overlaps and repeated UUIDs or domains
   * don't matter. Throws `DITTO_POSITION_GTID_INVALID`, also for an interval that ends before it begins.
   */
  static parse(text: string): GtidSet {
    const pairs = new Map<string, (readonly [number, number])[]>();
    let domains = NO_DOMAINS;
    for (const item of text.toLowerCase().replace(/\s+/g, '').split(',')) {
      if (item === '') continue;
      const domain = parseDomainGtid(item);
      if (domain === null) parseUuidSet(item, text, pairs);
      else domains = uniteDomains(domains, new Map([[domain.domain, domain.end]]));
    }
    return new GtidSet(new Map([...pairs].map(([sid, list]) => [sid, normalizeIntervals(list)])), domains);
  }

  static ofDomain(domain: number, end: DomainEnd): GtidSet {
    return new GtidSet(NO_INTERVALS, new Map([[domain, end]]));
  }

  /** For `GtidAccumulator`: takes intervals over as they are; the caller must not change them afterwards. */
  static fromIntervals(bySid: ReadonlyMap<string, Intervals>, byDomain: Domains = NO_DOMAINS): GtidSet {
    return new GtidSet(bySid, byDomain);
  }

  /** Intervals by `uuid` or `uuid:tag`; none in a set of MariaDB. */
  get intervals(): ReadonlyMap<string, Intervals> {
    return this.#bySid;
  }

  /** The end of each domain of a set of MariaDB; none in a set of MySQL. */
  get domains(): Domains {
    return this.#byDomain;
  }

  get isEmpty(): boolean {
    return this.#bySid.size === 0 && this.#byDomain.size === 0;
  }

  /** Number of GTIDs in the set; of MariaDB, whose sequence numbers may have gaps, the most that it can be. */
  count(): bigint {
    let count = 0n;
    for (const { sequence } of this.#byDomain.values()) count += BigInt(sequence);
    for (const intervals of this.#bySid.values()) {
      for (let i = 0; i < intervals.length; i += 2) {
        count += BigInt((intervals[i + 1] as number) - (intervals[i] as number) + 1);
      }
    }
    return count;
  }

  contains(other: GtidSet): boolean {
    this.#assertComparable(other);
    if (!containsDomains(this.#byDomain, other.#byDomain)) return false;
    for (const [sid, intervals] of other.#bySid) {
      const own = this.#bySid.get(sid);
      if (own === undefined || !containsIntervals(own, intervals)) return false;
    }
    return true;
  }

  containsGtid(gtid: string): boolean {
    const domain = parseDomainGtid(gtid.trim());
    if (domain !== null) return this.contains(GtidSet.ofDomain(domain.domain, domain.end));
    const { sid, number } = parseGtid(gtid);
    if (this.#byDomain.size > 0) throw mixedGtids(gtid, this.toString());
    const own = this.#bySid.get(sid);
    return own !== undefined && containsNumber(own, number);
  }

  union(other: GtidSet): GtidSet {
    if (other.isEmpty) return this;
    this.#assertComparable(other);
    const result = new Map(this.#bySid);
    for (const [sid, intervals] of other.#bySid) {
      const own = result.get(sid);
      result.set(sid, own === undefined ? intervals : uniteIntervals(own, intervals));
    }
    return new GtidSet(result, uniteDomains(this.#byDomain, other.#byDomain));
  }

  subtract(other: GtidSet): GtidSet {
    this.#assertComparable(other);
    return this.#each(subtractDomains(this.#byDomain, other.#byDomain), (sid, own) => {
      const taken = other.#bySid.get(sid);
      return taken === undefined ? own : subtractIntervals(own, taken);
    });
  }

  intersect(other: GtidSet): GtidSet {
    this.#assertComparable(other);
    const domains = intersectDomains(this.#byDomain, other.#byDomain);
    return this.#each(domains, (sid, own) => intersectIntervals(own, other.#bySid.get(sid) ?? []));
  }

  equals(other: GtidSet): boolean {
    return this === other || this.toString() === other.toString();
  }

  /**
   * The server's canonical form on one line. MySQL: UUIDs sorted, each followed by its untagged intervals, then by tag.
   * MariaDB: domains in the order of their numbers.
   */
  toString(): string {
    this.#text ??= this.#byDomain.size > 0 ? formatDomains(this.#byDomain) : formatGtidSet(this.#bySid);
    return this.#text;
  }

  toJSON(): string {
    return this.toString();
  }

  #assertComparable(other: GtidSet): void {
    const isMixed =
      (this.#bySid.size > 0 && other.#byDomain.size > 0) || (this.#byDomain.size > 0 && other.#bySid.size > 0);
    if (isMixed) throw mixedGtids(this.toString(), other.toString());
  }

  #each(domains: Domains, change: (sid: string, own: Intervals) => Intervals): GtidSet {
    const result = new Map<string, Intervals>();
    for (const [sid, own] of this.#bySid) {
      const intervals = change(sid, own);
      if (intervals.length > 0) result.set(sid, intervals);
    }
    return new GtidSet(result, domains);
  }
}

export function formatGtidSet(bySid: ReadonlyMap<string, Intervals>): string {
  let text = '';
  let uuid = '';
  for (const sid of [...bySid.keys()].sort()) {
    const intervals = formatIntervals(bySid.get(sid) ?? []);
    if (sid.slice(0, UUID_LENGTH) === uuid) {
      text += sid.slice(UUID_LENGTH) + intervals;
    } else {
      uuid = sid.slice(0, UUID_LENGTH);
      text += (text === '' ? '' : ',') + sid + intervals;
    }
  }
  return text;
}

/** Outside the class: the compiler puts a static initialiser that makes its own class into the wrong order. */
const emptySet = GtidSet.fromIntervals(NO_INTERVALS);
