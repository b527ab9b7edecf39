/**
 * Every key name that Ditto uses in Redis. What belongs to one source carries its name as a hash tag, so that a script
 * finds all its keys on one node of a cluster.
 *
 * | key | type | holds |
 * |---|---|---|
 * | `<prefix>:sources` | set | names of the sources that have an offset or a lease |
 * | `<prefix>:{<source>}:token` | string | highest fencing token seen |
 * | `<prefix>:{<source>}:offset` | hash | token, rank, and the checkpoint as JSON |
 * | `<prefix>:{<source>}:lease` | hash with TTL | owner, attempt, nonce, token (0 while only reserved) |
 * | `<prefix>:services`, `…:services:expiry` | hash, sorted set | status by service instance, and when each ends |
 * | `<prefix>:{<source>}:recent` | string | up to which version changes were noticed in the mirror |
 * | `<prefix>:{<source>}:recent:turn` | string with TTL | who notices changes in the mirror now |
 * | `<prefix>:{<source>}:gap-check` | string with TTL | up to where the log was compared with the topics |
 * | `<prefix>:{<source>}:servers`, `…:servers:expiry` | hash, sorted set | heartbeat by endpoint, and when each ends |
 * | `<prefix>:{<source>}:tables` | sorted set | tables with recent events, by the time of the newest |
 * | `<prefix>:{<source>}:events:<database>.<table>` | stream | recent events |
 * | `<prefix>:{<source>}:gaps:<database>.<table>` | stream | what the window lacks, and why |
 * | `<prefix>:probes` | sorted set | endpoints by the turn in which a worker has probed them last |
 * | `<prefix>:ping` | string | nothing: written to learn whether Redis takes writes |
 * | `{<prefix>:jobs}:<queue>…` | BullMQ's own | schedules, jobs and results of the workers |
 */
export class RedisKeys {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  sources(): string {
    return `${this.#prefix}:sources`;
  }

  ping(): string {
    return `${this.#prefix}:ping`;
  }

  probes(): string {
    return `${this.#prefix}:probes`;
  }

  token(source: string): string {
    return this.#ofSource(source, 'token');
  }

  offset(source: string): string {
    return this.#ofSource(source, 'offset');
  }

  recent(source: string): string {
    return this.#ofSource(source, 'recent');
  }

  recentTurn(source: string): string {
    return this.#ofSource(source, 'recent:turn');
  }

  gapCheck(source: string): string {
    return this.#ofSource(source, 'gap-check');
  }

  lease(source: string): string {
    return this.#ofSource(source, 'lease');
  }

  services(): StatusKeys {
    return { status: `${this.#prefix}:services`, expiry: `${this.#prefix}:services:expiry` };
  }

  servers(source: string): StatusKeys {
    return { status: this.#ofSource(source, 'servers'), expiry: this.#ofSource(source, 'servers:expiry') };
  }

  tables(source: string): string {
    return this.#ofSource(source, 'tables');
  }

  events(source: string, table: string): string {
    return this.#ofSource(source, `events:${table}`);
  }

  gaps(source: string, table: string): string {
    return this.#ofSource(source, `gaps:${table}`);
  }

  /** What the names of the workers' queues begin with. */
  jobs(): string {
    return `{${this.#prefix}:jobs}`;
  }

  #ofSource(source: string, what: string): string {
    return `${this.#prefix}:{${source}}:${what}`;
  }
}

export interface StatusKeys {
  readonly status: string;
  readonly expiry: string;
}
