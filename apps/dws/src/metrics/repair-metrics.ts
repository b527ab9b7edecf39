import { Injectable } from '@nestjs/common';
import { Metrics } from '#platform';

@Injectable()
export class RepairMetrics {
  readonly #ended;
  readonly #planned;
  readonly #stopped;

  constructor(metrics: Metrics) {
    this.#planned = metrics.counter('planned_repairs_total', 'Mismatches that were taken up by the policy.', [
      'source',
    ]);
    this.#ended = metrics.counter(
      'repairs_total',
      'Repairs by how they ended: repaired, given up; or failed, to be tried again.',
      ['source', 'sink', 'outcome'],
    );
    this.#stopped = metrics.gauge('stopped_repair_tables', 'Tables in which too much differs to be repaired.', [
      'source',
    ]);
  }

  planned(source: string, count: number): void {
    this.#planned.inc({ source }, count);
  }

  ended(source: string, sink: string, outcome: string): void {
    this.#ended.inc({ source, sink, outcome });
  }

  stopped(source: string, tables: number): void {
    this.#stopped.set({ source }, tables);
  }
}
