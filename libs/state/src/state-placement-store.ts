import { type StateDatabase } from './state-database.ts';
import { type WriteResult } from './state-fencing.ts';

/** Where an operator wants a source to run. */
export interface Placement {
  /** Of DSS, by its full name. */
  readonly instance: string;
  readonly placedBy: string;
  /** Of the orders to place the source: a later one is greater. */
  readonly order: number;
}

/** Not guarded by a fencing token: a placement is a wish, and any instance takes it. */
export class StatePlacementStore {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** By the name of the source. */
  async list(): Promise<ReadonlyMap<string, Placement>> {
    // every instance asks once a second; to build the statement anew takes longer than to send it
    const rows = await this.#database.run((manager) =>
      manager.query<{ name: string; placedOn: string; placedBy: string | null; placements: unknown }[]>(
        'SELECT name, placed_on AS placedOn, placed_by AS placedBy, placements FROM sources WHERE placed_on IS NOT NULL',
      ),
    );
    return new Map(
      rows.map(({ name, placedOn, placedBy, placements }) => [
        name,
        { instance: placedOn, placedBy: placedBy ?? '', order: Number(placements) },
      ]),
    );
  }

  /** With null the source may run anywhere. False when no instance has run the source yet. */
  async place(source: string, placement: Omit<Placement, 'order'> | null): Promise<boolean> {
    const { affectedRows } = await this.#update(
      'placed_on = ?, placed_by = ?, placements = placements + 1 WHERE name = ?',
      [...[placement?.instance ?? null, placement?.placedBy.slice(0, 255) ?? null, source]],
    );
    return affectedRows > 0;
  }

  /** False when the source was placed elsewhere in between. */
  async end(source: string, instance: string): Promise<boolean> {
    const none = 'placed_on = NULL, placed_by = NULL';
    const { affectedRows } = await this.#update(`${none} WHERE name = ? AND placed_on = ?`, [source, instance]);
    return affectedRows > 0;
  }

  #update(change: string, values: readonly unknown[]): Promise<WriteResult> {
    return this.#database.transaction((manager) =>
      manager.query<WriteResult>(`UPDATE sources SET ${change}`, [...values]),
    );
  }
}
