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

  /** Newest first. */
  async listRecent(limit: number): Promise<readonly RecordedAuditEntry[]> {
    const rows = await this.#database.run((manager) =>
      manager.find(AuditEntryEntity, { order: { id: 'DESC' }, take: limit }),
    );
    return rows.map(({ atMs, actor, action, subject, details }) => ({ atMs, actor, action, subject, details }));
  }
}
