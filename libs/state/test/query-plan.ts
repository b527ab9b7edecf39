import { jest } from '@jest/globals';
import { type QueryRunner } from 'typeorm';
import { type StateDatabase } from '#state';

export interface PlanStep {
  readonly table: string;
  /** As MySQL calls it: ALL reads the whole table. */
  readonly type: string;
  /** The index that is used. */
  readonly key: string | null;
  readonly Extra: string | null;
}

/** What EXPLAIN says of each statement that `work` reads with. */
export async function explainReads(database: StateDatabase, work: () => Promise<unknown>): Promise<PlanStep[]> {
  const prototype = await database.run(({ queryRunner }) =>
    Promise.resolve(Object.getPrototypeOf(queryRunner) as Pick<QueryRunner, 'query'>),
  );
  const query = jest.spyOn(prototype, 'query');
  await work();
  const asked = query.mock.calls.filter(([sql]) => sql.startsWith('SELECT') && sql.includes(' FROM '));
  query.mockRestore();
  const plans: PlanStep[][] = [];
  for (const [sql, parameters] of asked)
    plans.push(
      await database.run((manager) => manager.query<PlanStep[]>(`EXPLAIN FORMAT=TRADITIONAL ${sql}`, parameters)),
    );
  return plans.flat();
}
