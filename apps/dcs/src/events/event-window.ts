import { Injectable } from '@nestjs/common';
import { type DittoConfig } from '#configuration';
import { InjectConfig } from '#platform';
import { type RecentEvent, RedisRecentEvents, type TableGap } from '#redis';

export type TableEvent = RecentEvent & { readonly table: string };

export interface WindowQuery {
  readonly source: string;
  /** `database.table`; all when left out. */
  readonly table?: string;
  readonly matches?: (key: string) => boolean;
  readonly limit: number;
}

export interface WindowAnswer {
  readonly events: readonly TableEvent[];
  readonly gaps: readonly TableGap[];
  /** Of all gaps, those that are not among `gaps` too. */
  readonly skippedEvents: number;
  /** Whether there may be more in what was not looked at. */
  readonly isCutShort: boolean;
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
  async find({ source, table, matches, limit }: WindowQuery): Promise<WindowAnswer> {
    const { events, ...answer } =
      table === undefined
        ? await this.#events.search(source, limit, matches)
        : await this.#findIn(source, table, limit, matches);
    return { events: [...events].sort((a, b) => b.publishedMs - a.publishedMs), ...answer };
  }

  async #findIn(source: string, table: string, limit: number, matches: WindowQuery['matches']): Promise<WindowAnswer> {
    const [events, gaps] = await Promise.all([
      this.#events.query(source, table, limit, matches),
      this.#events.listGaps(source, table),
    ]);
    return {
      events: events.map((event) => ({ ...event, table })),
      gaps: gaps.map((gap) => ({ ...gap, table })),
      skippedEvents: gaps.reduce((sum, { skipped }) => sum + skipped, 0),
      isCutShort: false,
    };
  }
}
