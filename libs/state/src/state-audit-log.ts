import { createHash } from 'node:crypto';
import { LessThan, MoreThanOrEqual } from 'typeorm';
import { AuditEntryEntity } from './entities/audit-entry.entity.ts';
import { type StateDatabase } from './state-database.ts';

export interface AuditEntry {
  /** Who did it: an operator, or the service that decided by itself. */
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly details?: Readonly<Record<string, unknown>>;
  /** When it was done; now by default. */
  readonly atMs?: number;
}

export interface RecordedAuditEntry extends Required<AuditEntry> {
  readonly id: string;
  readonly atMs: number;
  /** How often it was done, and when last; `details` are of the last time. */
  readonly repeats: number;
  readonly lastAtMs: number;
}

export interface AuditFilter {
  readonly actor?: string;
  readonly action?: string;
  readonly subject?: string;
  /** Only what was done at or after this moment, the last time at least. */
  readonly sinceMs?: number;
  /** Only what was done before this moment, the first time at least. */
  readonly untilMs?: number;
}

/** What comes after an entry. One that is repeated in between comes before it. */
export interface AuditPage {
  readonly after: Pick<RecordedAuditEntry, 'id' | 'lastAtMs'> | null;
  readonly limit: number;
}

/** Every operator action and automatic decision. */
export class StateAuditLog {
  readonly #database: StateDatabase;
  readonly #nowMs: () => number;

  constructor(database: StateDatabase, nowMs: () => number = Date.now) {
    this.#database = database;
    this.#nowMs = nowMs;
  }

  async record(entry: AuditEntry): Promise<void> {
    const { actor, action, subject, details = {}, atMs = this.#nowMs() } = entry;
    await this.#database.transaction((manager) =>
      manager.query(
        'INSERT INTO audit_log (at_ms, last_at_ms, actor, action, subject, details) VALUES (?, ?, ?, ?, ?, ?)',
        [atMs, atMs, actor, action, subject, JSON.stringify(details)],
      ),
    );
  }

  /**
   * For what a service does by itself as often as something fails: one entry for each actor, action, subject, cause and
   * day (UTC), with a count.
   */
  async recordRepeated(entry: AuditEntry, cause: string): Promise<void> {
    const { actor, action, subject, details = {} } = entry;
    const [now, json] = [this.#nowMs(), JSON.stringify(details)];
    const day = new Date(now).toISOString().slice(0, 10);
    const series = createHash('sha256')
      .update(JSON.stringify([actor, action, subject, cause, day]))
      .digest();
    await this.#database.transaction((manager) =>
      manager.query(
        `INSERT INTO audit_log (at_ms, last_at_ms, actor, action, subject, details, series) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE repeats = repeats + 1, last_at_ms = ?, details = ?`,
        [now, now, actor, action, subject, json, series, now, json],
      ),
    );
  }

  /** Newest first, by when they were done last. */
  async list(filter: AuditFilter, { after, limit }: AuditPage): Promise<readonly RecordedAuditEntry[]> {
    const { actor, action, subject, sinceMs, untilMs } = filter;
    const rows = await this.#database.run((manager) => {
      const query = manager.createQueryBuilder(AuditEntryEntity, 'entry').where({
        ...(actor !== undefined && { actor }),
        ...(action !== undefined && { action }),
        ...(subject !== undefined && { subject }),
        ...(sinceMs !== undefined && { lastAtMs: MoreThanOrEqual(sinceMs) }),
        ...(untilMs !== undefined && { atMs: LessThan(untilMs) }),
      });
      if (after !== null)
        query.andWhere('(entry.lastAtMs < :lastAtMs OR (entry.lastAtMs = :lastAtMs AND entry.id < :id))', after);
      return query.orderBy('entry.lastAtMs', 'DESC').addOrderBy('entry.id', 'DESC').limit(limit).getMany();
    });
    return rows.map(({ id, atMs, lastAtMs, actor, action, subject, details, repeats }) => ({
      id,
      atMs,
      lastAtMs: lastAtMs ?? atMs,
      actor,
      action,
      subject,
      details,
      repeats,
    }));
  }
}
