import { Injectable } from '@nestjs/common';
import { Metrics } from '#platform';
import { type MismatchCount, type NewMismatch, type RowCounts, type RunChunk, type Way } from '#verification';

/** Rows of a sink in a phase of a run, or those that changed recently. */
export interface VerifiedPart {
  readonly sink: string;
  readonly phase: RunChunk['phase'] | 'recent';
}

/** What this worker has verified: sum counters over all workers. The gauge is of the state database, the same in all. */
@Injectable()
export class VerificationMetrics {
  readonly #rows;
  readonly #found;
  readonly #unsettled;
  readonly #held;
  #read: () => Promise<readonly MismatchCount[]> = () => Promise.resolve([]);

  constructor(metrics: Metrics) {
    const of = ['source', 'sink'] as const;
    this.#rows = metrics.counter('verified_rows_total', 'Rows and keys that were compared, by each way.', [
      ...of,
      'phase',
      'way',
    ]);
    this.#found = metrics.counter('found_mismatches_total', 'Rows that were newly found to differ.', [
      ...of,
      'kind',
      'way',
      'by',
    ]);
    this.#unsettled = metrics.counter(
      'unsettled_rows_total',
      'Rows that changed during every attempt, so that nothing could be said of them.',
      [...of, 'way'],
    );
    this.#held = metrics.counter('held_chunks_total', 'Chunks that could not be judged and are tried again.', [
      ...of,
      'state',
    ]);
    metrics.gauge('mismatches', 'Rows that differ, by their state.', [...of, 'kind', 'state'], async (gauge) => {
      // without the state database there is no number, which is not zero
      const counts = await this.#read().catch(() => null);
      gauge.reset();
      for (const { source, sink, kind, state, count } of counts ?? []) gauge.set({ source, sink, kind, state }, count);
    });
  }

  observe(read: () => Promise<readonly MismatchCount[]>): void {
    this.#read = read;
  }

  verified(
    source: string,
    { sink, phase }: VerifiedPart,
    counts: Readonly<Partial<Record<Way, Pick<RowCounts, 'rows' | 'unsettled'>>>>,
  ): void {
    for (const way of ['first', 'second'] as const) {
      const { rows, unsettled } = counts[way] ?? { rows: 0, unsettled: 0 };
      if (way === 'first' || rows > 0) this.#rows.inc({ source, sink, phase, way }, rows);
      if (unsettled > 0) this.#unsettled.inc({ source, sink, way }, unsettled);
    }
  }

  found({ source, sink, kind, runId, details: { way } }: NewMismatch): void {
    this.#found.inc({ source, sink, kind, way, by: kind === 'gap' ? 'log' : runId === null ? 'recent' : 'run' });
  }

  held(source: string, { sink }: RunChunk, state: string): void {
    this.#held.inc({ source, sink, state });
  }
}
