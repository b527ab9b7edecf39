import { Injectable } from '@nestjs/common';
import { formatTableName } from '#change-events';
import { Metrics } from '#platform';
import { type QuarantineStatus, type SinkStatus } from '#replication';
import { SINK_KITS } from '../sinks/registry.ts';
import { type SourceStatus } from '../sources/source-status.ts';

/** What operators watch of the sources of this process; values are taken when somebody reads them. */
@Injectable()
export class SourceMetrics {
  readonly #latency;
  readonly #confirmed;
  #read: () => readonly SourceStatus[] = () => [];

  constructor(metrics: Metrics) {
    this.#latency = metrics.histogram(
      'commit_to_sink_seconds',
      'From the commit in MySQL to the confirmation by the sink.',
      ['source', 'sink'],
    );
    this.#confirmed = metrics.counter('confirmed_changes_total', 'Changes of the log that a sink has confirmed.', [
      'source',
      'sink',
    ]);
    this.#defineSourceGauges(metrics);
    this.#defineSinkGauges(metrics);
    this.#defineQuarantineGauges(metrics);
  }

  /** Where the gauges look; called once by the class that knows the sources. */
  observe(read: () => readonly SourceStatus[]): void {
    this.#read = read;
  }

  confirmed(source: string, sink: string, latencyMs: number, count: number): void {
    this.#latency.observe({ source, sink }, latencyMs / 1000);
    this.#confirmed.inc({ source, sink }, count);
  }

  #defineSourceGauges(metrics: Metrics): void {
    const gauge = (name: string, help: string, value: (status: SourceStatus) => number | null | undefined): void => {
      metrics.gauge(name, help, ['source'], (of) => {
        of.reset();
        for (const status of this.#read()) {
          const current = value(status);
          if (current !== null && current !== undefined) of.set({ source: status.name }, current);
        }
      });
    };
    gauge('source_running', '1 while the source is streaming here.', ({ state }) => (state === 'streaming' ? 1 : 0));
    gauge('source_failed', '1 while the source waits for an operator.', ({ state }) => (state === 'failed' ? 1 : 0));
    gauge('lag_seconds', 'Age of the newest confirmed change when it was confirmed.', ({ lagMs }) =>
      lagMs === null ? null : lagMs / 1000,
    );
    gauge(
      'in_flight_bytes',
      'Bytes that the sinks hold of what is not confirmed.',
      ({ pipeline }) => pipeline?.bytesInFlight,
    );
    gauge(
      'log_bytes',
      'Bytes of the log that were read since the source was opened.',
      ({ pipeline }) => pipeline?.logBytes,
    );
    gauge(
      'transactions',
      'Transactions that were read since the source was opened.',
      ({ pipeline }) => pipeline?.transactions,
    );
    gauge('changes', 'Changes that were dispatched since the source was opened.', ({ pipeline }) => pipeline?.changes);
    gauge('repeated_changes', 'Changes sent again after a crash.', ({ pipeline }) => pipeline?.repeatedChanges);
    gauge('switches', 'Switches to another server since the process started.', ({ switches }) => switches);
    gauge('reconnects', 'Times that the stream broke and continued.', ({ pipeline }) => pipeline?.reconnects);
    gauge(
      'snapshot_remaining_tables',
      'Tables whose rows are not copied yet.',
      ({ snapshotTables: { pending, running } }) => pending + running,
    );
    gauge(
      'snapshot_failing_tables',
      'Tables that could not be read at the last attempt, and are tried again.',
      ({ snapshotTables }) => snapshotTables.failing,
    );
    gauge(
      'log_purge_seconds',
      'Until the server may remove log that was not read yet, at the earliest; absent while it can not.',
      ({ logPurge }) => (logPurge?.leftMs == null ? null : logPurge.leftMs / 1000),
    );
    gauge(
      'waits',
      'What is waited for longer than usual; the status of the source names it.',
      ({ waits }) => waits.length,
    );
  }

  #defineQuarantineGauges(metrics: Metrics): void {
    const gauge = (name: string, help: string, value: (status: QuarantineStatus) => number): void => {
      metrics.gauge(name, help, ['source', 'sink', 'table'], (of) => {
        of.reset();
        for (const { name: source, quarantine } of this.#read())
          for (const status of quarantine)
            of.set({ source, sink: status.sink, table: formatTableName(status) }, value(status));
      });
    };
    gauge('quarantined_keys', 'Rows whose changes are held back.', ({ keys }) => keys);
    gauge('held_changes', 'Changes held back since the source was opened.', ({ heldChanges }) => heldChanges);
  }

  #defineSinkGauges(metrics: Metrics): void {
    const gauge = (name: string, help: string, value: (status: SinkStatus, sink: string) => number | null): void => {
      metrics.gauge(name, help, ['source', 'sink'], (of) => {
        of.reset();
        for (const { name: source, sinks } of this.#read())
          for (const [sink, status] of Object.entries(sinks)) {
            const current = value(status, sink);
            if (current !== null) of.set({ source, sink }, current);
          }
      });
    };
    gauge(
      'sink_in_flight_bytes',
      'Bytes that the sink holds of what is not confirmed.',
      ({ bytesInFlight }) => bytesInFlight,
    );
    gauge('sink_retries', 'Deliveries that were tried again.', ({ retries }) => retries);
    gauge('sink_holding', '1 while the sink backs off from an error.', ({ holdingBecause }) =>
      holdingBecause === null ? 0 : 1,
    );
    for (const [name, { metrics }] of Object.entries(SINK_KITS))
      for (const metric of metrics)
        gauge(`sink_${metric.name}`, metric.help, ({ counters }, sink) =>
          sink === name ? (counters[metric.counter] ?? null) : null,
        );
  }
}
