import { createHash } from 'node:crypto';
import { AuditEntryEntity } from './entities/audit-entry.entity.ts';
import { type StateDatabase } from './state-database.ts';

export interface AuditEntry {
  /** Who did it: an operator, or the service that decided by itself. */
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export interface RecordedAuditEntry extends Required<AuditEntry> {
  readonly atMs: number;
  /** How often it was done, and when last; `details` are those of the last time. */
  readonly repeats: number;
  readonly lastAtMs: number;
}

/** Every operator action and automatic decision, for good. */
export class StateAuditLog {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  async record(entry: AuditEntry): Promise<void> {
    const { actor, action, subject, details = {} } = entry;
    await this.#database.transaction((manager) =>
      manager.query('INSERT INTO audit_log (at_ms, actor, action, subject, details) VALUES (?, ?, ?, ?, ?)', [
        Date.now(),
        actor,
        action,
        subject,
        JSON.stringify(details),
      ]),
    );
  }

  /**
   * For what a service does by itself as often as something fails: one entry for each actor, action, subject and cause,
   * with a count.
   */
  async recordRepeated(entry: AuditEntry, cause: string): Promise<void> {
    const { actor, action, subject, details = {} } = entry;
    const series = createHash('sha256')
      .update(JSON.stringify([actor, action, subject, cause]))
      .digest();
    const [now, json] = [Date.now(), JSON.stringify(details)];
    await this.#database.transaction((manager) =>
      manager.query(
        `INSERT INTO audit_log (at_ms, last_at_ms, actor, action, subject, details, series) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE repeats = repeats + 1, last_at_ms = ?, details = ?`,
        [now, now, actor, action, subject, json, series, now, json],
      ),
    );
  }

  /** Newest first, by when they were done for the first time. */
  async listRecent(limit: number): Promise<readonly RecordedAuditEntry[]> {
    const rows = await this.#database.run((manager) =>
      manager.find(AuditEntryEntity, { order: { id: 'DESC' }, take: limit }),
    );
    return rows.map(({ atMs, lastAtMs, actor, action, subject, details, repeats }) => ({
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
