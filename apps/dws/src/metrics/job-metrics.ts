import { Injectable } from '@nestjs/common';
import { Metrics } from '#platform';

@Injectable()
export class JobMetrics {
  readonly #seconds;
  readonly #failed;
  readonly #removed;

  constructor(metrics: Metrics) {
    this.#seconds = metrics.histogram('job_seconds', 'How long jobs took.', ['queue', 'outcome']);
    this.#failed = metrics.counter('failed_jobs_total', 'Times that a job failed; it comes again.', ['queue']);
    this.#removed = metrics.counter('removed_tombstones_total', 'Tombstones that were swept from the mirror.', [
      'source',
    ]);
  }

  ended(queue: string, outcome: 'done' | 'failed', tookMs: number): void {
    this.#seconds.observe({ queue, outcome }, tookMs / 1000);
    if (outcome === 'failed') this.#failed.inc({ queue });
  }

  swept(source: string, removed: number): void {
    this.#removed.inc({ source }, removed);
  }
}
