import { compileTableSelection, type TableName } from '#change-events';

/** `dry-run`: repairs are planned and shown, and carried out only when a person asks for one. */
export type RepairMode = 'repair' | 'report' | 'dry-run';

export interface RepairPolicyOptions {
  readonly mode: RepairMode;
  /** By pattern `database.table`; of several that match the last one counts. */
  readonly tables: Readonly<Record<string, RepairMode>>;
  /** Repairs of a table that begin by themselves within an hour. */
  readonly perHour: number;
  /** More mismatches of a table than these within an hour stop its repairs. */
  readonly breakerPerHour: number;
  /** How often a row is read again before its repair is given up. */
  readonly attempts: number;
}

/** What is done by itself about mismatches, table by table. */
export class RepairPolicy {
  readonly perHour: number;
  readonly breakerPerHour: number;
  readonly attempts: number;
  readonly #mode: RepairMode;
  readonly #tables: readonly (readonly [(database: string, table: string) => boolean, RepairMode])[];

  constructor({ mode, tables, perHour, breakerPerHour, attempts }: RepairPolicyOptions) {
    this.perHour = perHour;
    this.breakerPerHour = breakerPerHour;
    this.attempts = attempts;
    this.#mode = mode;
    this.#tables = Object.entries(tables).map(([pattern, found]) => [
      compileTableSelection({ include: [pattern], exclude: [] }),
      found,
    ]);
  }

  modeOf({ database, table }: TableName): RepairMode {
    return this.#tables.findLast(([matches]) => matches(database, table))?.[1] ?? this.#mode;
  }
}
