import { type TableName } from '#change-events';

export interface TopicTable {
  readonly source: string;
  readonly table: TableName;
}

export interface TopicTablesOptions {
  /** All tables, by the names of their topics. */
  readonly load: () => Promise<ReadonlyMap<string, TopicTable>>;
  /** Milliseconds, of a clock that is never set. */
  readonly nowMs?: () => number;
}

interface Unknown {
  readonly pauseMs: number;
  readonly untilMs: number;
}

/** The tables are loaded no more often. */
const REFRESH_MS = 1_000;
const MOST_PAUSE_MS = 60_000;

/**
 * Whose topic it is. The tables are loaded when a topic is met that is of none of them; for one that stays so, with growing
 * pauses: it may be of another writer, or of a table that is no more.
 */
export class TopicTables {
  readonly #load: TopicTablesOptions['load'];
  readonly #nowMs: () => number;
  readonly #unknown = new Map<string, Unknown>();
  #tables: ReadonlyMap<string, TopicTable> = new Map();
  #loadedAtMs = -Infinity;

  constructor({ load, nowMs = () => performance.now() }: TopicTablesOptions) {
    this.#load = load;
    this.#nowMs = nowMs;
  }

  /** Of what was loaded so far. */
  get(topic: string): TopicTable | undefined {
    return this.#tables.get(topic);
  }

  async find(topic: string): Promise<TopicTable | undefined> {
    const known = this.#tables.get(topic);
    const nowMs = this.#nowMs();
    const before = this.#unknown.get(topic);
    if (known !== undefined || nowMs < (before?.untilMs ?? -Infinity)) return known;
    if (nowMs >= this.#loadedAtMs + REFRESH_MS) {
      this.#loadedAtMs = nowMs;
      this.#tables = await this.#load();
    }
    const found = this.#tables.get(topic);
    if (found !== undefined) this.#unknown.delete(topic);
    else {
      const pauseMs = before === undefined ? REFRESH_MS : Math.min(2 * before.pauseMs, MOST_PAUSE_MS);
      this.#unknown.set(topic, { pauseMs, untilMs: nowMs + pauseMs });
    }
    return found;
  }
}
