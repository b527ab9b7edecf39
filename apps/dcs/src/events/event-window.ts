import { Injectable } from '@nestjs/common';
import { type DittoConfig, InjectConfig } from '#platform';
import { type RecentEvent, type RecentEventGap, RedisRecentEvents } from '#redis';

export type TableEvent = RecentEvent & { readonly table: string };
export type TableGap = RecentEventGap & { readonly table: string };

export interface WindowQuery {
  readonly source: string;
  /** `database.table`; all when left out. */
  readonly table?: string;
  readonly matches?: (key: string) => boolean;
  readonly limit: number;
}

/** The recent events of all tables, with what is missing among them. */
@Injectable()
export class EventWindow {
  readonly #events: RedisRecentEvents;
  readonly #config: DittoConfig;

  constructor(events: RedisRecentEvents, @InjectConfig() config: DittoConfig) {
    this.#events = events;
    this.#config = config;
  }

  /** Whether anything is put into the window of this source. */
  isKept(source: string): boolean {
    const { sources, dcs, kafka } = this.#config;
    return dcs.recentEvents.enabled && kafka !== null && (sources[source]?.sinks.includes('kafka') ?? false);
  }

  /** Events newest first by the time of their message; gaps newest first. */
  async find({
    source,
    table,
    matches,
    limit,
  }: WindowQuery): Promise<{ readonly events: readonly TableEvent[]; readonly gaps: readonly TableGap[] }> {
    const tables = table === undefined ? await this.#events.listTables(source) : [table];
    const [events, gaps] = await Promise.all([
      Promise.all(
        tables.map(async (name) =>
          (await this.#events.query(source, name, limit, matches)).map((event) => ({ ...event, table: name })),
        ),
      ),
      Promise.all(
        tables.map(async (name) => (await this.#events.listGaps(source, name)).map((gap) => ({ ...gap, table: name }))),
      ),
    ]);
    return {
      events: events
        .flat()
        .sort((a, b) => b.publishedMs - a.publishedMs)
        .slice(0, limit),
      gaps: gaps.flat().sort((a, b) => b.toMs - a.toMs),
    };
  }
}
