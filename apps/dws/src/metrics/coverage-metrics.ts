import { Injectable } from '@nestjs/common';
import { type DittoConfig } from '#configuration';
import { InjectConfig, Metrics } from '#platform';
import {
  averageShare,
  COVERAGE_WINDOWS,
  type CoverageWindow,
  type TableCoverage,
  VerificationRunStore,
} from '#verification';

/** The chunks of the last passes are summed up for it, and every worker is scraped. */
const KEPT_MS = 60_000;

interface SinkCoverage {
  readonly source: string;
  readonly sink: string;
  readonly tables: readonly TableCoverage[];
}

/** Coverage of each source, over its tables. It is of the state database, the same in all workers. */
@Injectable()
export class CoverageMetrics {
  readonly #sources: readonly string[];
  readonly #runs: VerificationRunStore;
  #kept: Promise<readonly SinkCoverage[]> = Promise.resolve([]);
  #readAtMs = -Infinity;

  constructor(metrics: Metrics, @InjectConfig() config: DittoConfig, runs: VerificationRunStore) {
    this.#sources = Object.keys(config.sources);
    this.#runs = runs;
    const of = ['source', 'sink'] as const;
    const help = 'Share of the rows that were compared within the last hour, day, week.';
    metrics.gauge('coverage_ratio', help, [...of, 'window'], async (gauge) => {
      const coverage = await this.#read();
      gauge.reset();
      for (const { source, sink, tables } of coverage)
        for (const window of Object.keys(COVERAGE_WINDOWS) as CoverageWindow[])
          gauge.set({ source, sink, window }, averageShare(tables, window));
    });
    const ageHelp =
      'How long a row waits at most for its next comparison, so far; without tables that never were compared.';
    metrics.gauge('oldest_comparison_seconds', ageHelp, of, async (gauge) => {
      const coverage = await this.#read();
      gauge.reset();
      for (const { source, sink, tables } of coverage) {
        const oldestMs = Math.min(...tables.map((table) => table.oldestMs ?? Infinity));
        if (oldestMs < Infinity) gauge.set({ source, sink }, Math.max(0, Date.now() - oldestMs) / 1000);
      }
    });
  }

  /** Without the state database there is no number, which is not zero. */
  #read(): Promise<readonly SinkCoverage[]> {
    if (performance.now() >= this.#readAtMs + KEPT_MS) {
      this.#readAtMs = performance.now();
      this.#kept = this.#list().catch(() => {
        this.#readAtMs = -Infinity;
        return [];
      });
    }
    return this.#kept;
  }

  async #list(): Promise<readonly SinkCoverage[]> {
    const all: SinkCoverage[] = [];
    for (const source of this.#sources) {
      const bySink = Map.groupBy(await this.#runs.listCoverage(source), ({ sink }) => sink);
      for (const [sink, tables] of bySink) all.push({ source, sink, tables });
    }
    return all;
  }
}
