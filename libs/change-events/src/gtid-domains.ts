/** The last transaction of one MariaDB replication domain: everything of the domain up to it is meant. */
export interface DomainEnd {
  readonly server: number;
  readonly sequence: number;
}

/** By domain. Everything here takes and gives such maps. */
export type Domains = ReadonlyMap<number, DomainEnd>;

const GTID = /^(\d{1,10})-(\d{1,10})-(\d{1,20})$/;
const HIGHEST_ID = 0xffffffff;

/** The parts of `domain-server-sequence`; null when the text is not one, or a number in it is out of range. */
export function parseDomainGtid(text: string): { readonly domain: number; readonly end: DomainEnd } | null {
  const match = GTID.exec(text);
  if (match === null) return null;
  const [domain, server, sequence] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (domain > HIGHEST_ID || server > HIGHEST_ID || !Number.isSafeInteger(sequence)) return null;
  return { domain, end: { server, sequence } };
}

/**
 * Within a domain the sequence number orders (`gtid_strict_mode=ON`: each is higher than the one before, whichever
 * server wrote it). Two servers with one number have diverged; that the higher server id then counts as later only
 * keeps the order total.
 */
export function isAtOrBehind(end: DomainEnd, other: DomainEnd): boolean {
  return end.sequence > other.sequence || (end.sequence === other.sequence && end.server >= other.server);
}

export function containsDomains(outer: Domains, inner: Domains): boolean {
  for (const [domain, end] of inner) {
    const own = outer.get(domain);
    if (own === undefined || !isAtOrBehind(own, end)) return false;
  }
  return true;
}

export function uniteDomains(a: Domains, b: Domains): Domains {
  if (b.size === 0) return a;
  const result = new Map(a);
  for (const [domain, end] of b) {
    const own = result.get(domain);
    if (own === undefined || !isAtOrBehind(own, end)) result.set(domain, end);
  }
  return result;
}

/** The domains of `a` that reach further than in `b`, each with its own end. */
export function subtractDomains(a: Domains, b: Domains): Domains {
  return new Map([...a].filter(([domain, end]) => !containsDomains(b, new Map([[domain, end]]))));
}

/** The domains that both have, each with the nearer end. */
export function intersectDomains(a: Domains, b: Domains): Domains {
  const result = new Map<number, DomainEnd>();
  for (const [domain, end] of a) {
    const other = b.get(domain);
    if (other !== undefined) result.set(domain, isAtOrBehind(end, other) ? other : end);
  }
  return result;
}

export function formatDomains(domains: Domains): string {
  return [...domains]
    .sort(([a], [b]) => a - b)
    .map(([domain, { server, sequence }]) => `${domain}-${server}-${sequence}`)
    .join(',');
}
