import { type EntityManager } from 'typeorm';
import { type Grant } from '#replication';
import { TopicEndEntity } from './entities/topic-end.entity.ts';
import { type StateDatabase } from './state-database.ts';
import { guardGrant } from './state-fencing.ts';

export interface TopicEnd {
  readonly topic: string;
  readonly partition: number;
  readonly end: number;
}

export interface TopicLoss {
  readonly topic: string;
  readonly partition: number;
  readonly confirmedEnd: number;
  readonly survivingEnd: number;
}

/** Rows of one statement. */
const ROWS = 1_000;

/** Remembers how far each partition was confirmed, and what was lost of it. */
export class TopicEndStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  async load(source: string): Promise<{ readonly ends: readonly TopicEnd[]; readonly losses: readonly TopicLoss[] }> {
    const rows = await this.#database.run((manager) => manager.findBy(TopicEndEntity, { source }));
    return {
      ends: rows.map(({ topic, partition, confirmedEnd }) => ({ topic, partition, end: confirmedEnd })),
      losses: rows.flatMap(({ topic, partition, confirmedEnd, survivingEnd }) =>
        survivingEnd === null ? [] : [{ topic, partition, confirmedEnd, survivingEnd }],
      ),
    };
  }

  /** An end only ever grows, so that a write which comes late changes nothing. */
  async save(grant: Grant, ends: readonly TopicEnd[]): Promise<void> {
    const rows = ends.map(({ topic, partition, end }) => [grant.source, topic, partition, end, null]);
    await this.#database.transaction((manager) => write(manager, grant, rows));
  }

  async recordLosses(grant: Grant, losses: readonly TopicLoss[]): Promise<void> {
    const rows = losses.map(({ topic, partition, confirmedEnd, survivingEnd }) => [
      grant.source,
      topic,
      partition,
      confirmedEnd,
      survivingEnd,
    ]);
    await this.#database.transaction((manager) => write(manager, grant, rows));
  }
}

async function write(
  manager: EntityManager,
  grant: Grant,
  rows: readonly (readonly (string | number | null)[])[],
): Promise<void> {
  await guardGrant(manager, grant);
  for (let first = 0; first < rows.length; first += ROWS)
    await manager.query(
      `INSERT INTO topic_ends (source, topic, partition_number, confirmed_end, surviving_end) VALUES ?
       ON DUPLICATE KEY UPDATE
         confirmed_end = GREATEST(confirmed_end, VALUES(confirmed_end)),
         surviving_end = LEAST(COALESCE(surviving_end, VALUES(surviving_end)),
                               COALESCE(VALUES(surviving_end), surviving_end))`,
      [rows.slice(first, first + ROWS)],
    );
}
