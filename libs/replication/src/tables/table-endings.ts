import { changeVersion, type TableChange } from '#change-events';
import { type KnownTables } from './known-tables.ts';
import { type ChangeSink } from '../ports/change-sink.ts';
import { type RefusedChanges } from '../ports/refused-changes.ts';
import { type TableKeys } from './table-keys.ts';

export interface TableEndingsOptions {
  readonly sinks: readonly ChangeSink[];
  readonly refusedChanges: Pick<RefusedChanges, 'endTable'>;
  readonly tables: KnownTables;
  readonly keys: TableKeys;
  /** Resolves when no sink has anything in flight. */
  readonly drain: () => Promise<void>;
  /** Runs the action until it works; what is down is waited for. */
  readonly hold: (action: () => Promise<void>) => Promise<void>;
}

/** Ends all rows of tables in every sink. Only where the stream waits for it. */
export class TableEndings {
  readonly #options: TableEndingsOptions;

  constructor(options: TableEndingsOptions) {
    this.#options = options;
  }

  /** Resolves when all of it is confirmed; a crash repeats the whole. */
  async end(changes: readonly TableChange[]): Promise<void> {
    const { sinks, refusedChanges, tables, keys, drain, hold } = this.#options;
    if (changes.length > 0) await drain();
    for (const change of changes) {
      const { op, layout } = change;
      for (const sink of sinks) {
        await hold(() => sink.applyTableChange(change));
        await hold(() => refusedChanges.endTable(sink.name, layout, changeVersion(change)));
      }
      if (op === 'drop') {
        tables.forget(layout);
        await hold(() => keys.forget(layout));
      } else tables.unprepare(layout);
    }
  }
}
