import { Injectable } from '@nestjs/common';
import { Metrics } from '#platform';
import { type RecentStatus } from '../recent/recent-source.ts';

/** Why changes were passed over whose number is not known. */
export type RecentGap = 'too many' | 'place lost';

/** Verification of rows that changed recently, as far as this worker does it. */
@Injectable()
export class RecentMetrics {
  readonly #leftOut;
  readonly #passedOver;
  readonly #gaps;
  #read: () => ReadonlyMap<string, ReadonlyMap<string, RecentStatus>> = () => new Map();

  constructor(metrics: Metrics) {
    const of = ['source', 'sink'] as const;
    this.#leftOut = metrics.counter(
      'recent_rows_left_out_total',
      'Rows that changed recently and were not verified: too many, or not to be judged.',
      [...of, 'reason'],
    );
    this.#passedOver = metrics.counter(
      'recent_messages_passed_over_total',
      'Messages of Kafka that were not looked at for recent changes, because the worker was too far behind.',
      ['source'],
    );
    this.#gaps = metrics.counter(
      'recent_gaps_total',
      'How often recent changes of the mirror were passed over: there were too many, or the place was lost.',
      ['source', 'reason'],
    );
    metrics.gauge('recent_rows_waiting', 'Rows that changed recently and are still to be verified.', of, (gauge) =>
      this.#collect(({ waiting }, where) => gauge.set(where, waiting)),
    );
    metrics.gauge(
      'recent_behind_seconds',
      'How long a row that changed recently has waited since it could be verified.',
      of,
      (gauge) => this.#collect(({ behindMs }, where) => gauge.set(where, behindMs / 1000)),
    );
  }

  /** Where the gauges look: by source and sink. */
  observe(read: () => ReadonlyMap<string, ReadonlyMap<string, RecentStatus>>): void {
    this.#read = read;
  }

  leftOut(source: string, sink: string, reason: string, count: number): void {
    this.#leftOut.inc({ source, sink, reason }, count);
  }

  passedOver(source: string, count: number): void {
    this.#passedOver.inc({ source }, count);
  }

  gap(source: string, reason: RecentGap): void {
    this.#gaps.inc({ source, reason });
  }

  #collect(set: (status: RecentStatus, where: { readonly source: string; readonly sink: string }) => void): void {
    for (const [source, sinks] of this.#read()) for (const [sink, status] of sinks) set(status, { source, sink });
  }
}
