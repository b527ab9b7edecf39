import { createHash } from 'node:crypto';
import { LessThanOrEqual } from 'typeorm';
import { NoticeEntity } from './entities/notice.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { type WriteResult } from './state-fencing.ts';

export interface AddedNotice {
  readonly id: string;
  readonly webhook: string;
  readonly event: string;
  readonly source: string;
  readonly body: string;
  readonly createdAtMs: number;
  readonly uniqueKey: string | null;
}

export interface DueNotice extends Pick<
  NoticeEntity,
  'id' | 'webhook' | 'event' | 'source' | 'body' | 'createdAtMs' | 'attempts'
> {
  readonly nextAtMs: number;
}

/** Notices from when they are made until they are delivered or given up, and for a while after. */
export class StateNoticeStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** Those that are there already, by id or by unique key, are left as they are. */
  async add(notices: readonly AddedNotice[]): Promise<void> {
    if (notices.length === 0) return;
    await this.#database.transaction((manager) =>
      manager.query(
        `INSERT INTO notices (id, webhook, event, source, body, unique_hash, created_at_ms, next_at_ms)
         VALUES ${notices.map(() => '(?, ?, ?, ?, ?, ?, ?, ?)').join(', ')} ON DUPLICATE KEY UPDATE id = notices.id`,
        notices.flatMap(({ id, webhook, event, source, body, createdAtMs, uniqueKey }) => [
          ...[id, webhook, event, source, body, hashOf(webhook, event, uniqueKey), createdAtMs, createdAtMs],
        ]),
      ),
    );
  }

  /** Webhooks for which a notice is due. */
  async listWebhooks(nowMs: number): Promise<readonly string[]> {
    const rows = await this.#database.run((manager) =>
      manager.query<{ readonly webhook: string }[]>(
        'SELECT webhook FROM notices GROUP BY webhook HAVING MIN(next_at_ms) <= ?',
        [nowMs],
      ),
    );
    return rows.map(({ webhook }) => webhook);
  }

  /** The oldest first. */
  async listDue(webhook: string, nowMs: number, most: number): Promise<readonly DueNotice[]> {
    const columns = { id: true, webhook: true, event: true, source: true, body: true, createdAtMs: true } as const;
    const due = await this.#database.run((manager) =>
      manager.find(NoticeEntity, {
        select: { ...columns, attempts: true, nextAtMs: true },
        where: { webhook, nextAtMs: LessThanOrEqual(nowMs) },
        order: { nextAtMs: 'ASC', createdAtMs: 'ASC', id: 'ASC' },
        take: most,
      }),
    );
    return due.map((notice) => Object.assign(notice, { nextAtMs: notice.nextAtMs ?? nowMs }));
  }

  /** Before it is sent: it is due again then, unless something else is said. False when another worker has it. */
  async claim({ id, nextAtMs }: Pick<DueNotice, 'id' | 'nextAtMs'>, untilMs: number): Promise<boolean> {
    const { affectedRows } = await this.#database.transaction((manager) =>
      manager.query<WriteResult>(
        'UPDATE notices SET attempts = attempts + 1, next_at_ms = ? WHERE id = ? AND next_at_ms = ?',
        [untilMs, id, nextAtMs],
      ),
    );
    return affectedRows > 0;
  }

  /** It was delivered (`error` is null), or is given up. */
  async end(id: string, error: string | null, nowMs: number): Promise<void> {
    await this.#change(id, error, 'next_at_ms = NULL, ended_at_ms = ?', nowMs);
  }

  /** It is tried again then. */
  async delay(id: string, error: string, untilMs: number): Promise<void> {
    await this.#change(id, error, 'next_at_ms = ?', untilMs);
  }

  async #change(id: string, error: string | null, change: string, ms: number): Promise<void> {
    await this.#database.transaction((manager) =>
      manager.query(`UPDATE notices SET last_error = ?, ${change} WHERE id = ? AND next_at_ms IS NOT NULL`, [
        ...[error?.slice(0, 512) ?? null, ms, id],
      ]),
    );
  }
}

function hashOf(webhook: string, event: string, uniqueKey: string | null): Buffer | null {
  if (uniqueKey === null) return null;
  return createHash('sha256')
    .update(JSON.stringify([webhook, event, uniqueKey]))
    .digest();
}
