import { Injectable } from '@nestjs/common';
import { Metrics } from '#platform';
import { type RepairBreaker } from '#verification';

/** What this worker has done: sum counters over all workers. The gauge is of the state database, the same in all. */
@Injectable()
export class RepairMetrics {
  readonly #ended;
  readonly #planned;
  #read: () => Promise<readonly RepairBreaker[]> = () => Promise.resolve([]);

  constructor(metrics: Metrics) {
    this.#planned = metrics.counter('planned_repairs_total', 'Mismatches that were taken up by the policy.', [
      'source',
    ]);
    this.#ended = metrics.counter(
      'repairs_total',
      'Repairs by how they ended: repaired, given up; or failed, to be tried again.',
      ['source', 'sink', 'outcome'],
    );
    const help = 'Tables in which too much differs to be repaired.';
    metrics.gauge('stopped_repair_tables', help, ['source'], async (gauge) => {
      // without the state database there is no number, which is not zero
      const breakers = await this.#read().catch(() => []);
      gauge.reset();
      for (const { source } of breakers) gauge.set({ source }, 0);
      for (const { source, openedAtMs } of breakers) if (openedAtMs !== null) gauge.inc({ source });
    });
  }

  observe(read: () => Promise<readonly RepairBreaker[]>): void {
    this.#read = read;
  }

  planned(source: string, count: number): void {
    this.#planned.inc({ source }, count);
  }

  ended(source: string, sink: string, outcome: string): void {
    this.#ended.inc({ source, sink, outcome });
  }
}
