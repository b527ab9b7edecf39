import { Injectable } from '@nestjs/common';
import { type ServerHeartbeat } from '#dcs-client';
import { Metrics } from '#platform';

/** What the probes of this worker found. Other workers probe too: sum counters over all, take the newest of a gauge. */
@Injectable()
export class ProbeMetrics {
  readonly #probes;
  readonly #failed;
  readonly #seconds;
  #read: () => readonly (readonly [source: string, heartbeat: ServerHeartbeat])[] = () => [];

  constructor(metrics: Metrics) {
    const labels = ['source', 'endpoint'] as const;
    this.#probes = metrics.counter('probes_total', 'Probes of an endpoint, failed ones included.', labels);
    this.#failed = metrics.counter('failed_probes_total', 'Probes that the endpoint did not answer.', labels);
    this.#seconds = metrics.histogram('probe_seconds', 'How long probes took.', labels);
    const gauge = (name: string, help: string, value: (heartbeat: ServerHeartbeat) => number | null): void => {
      metrics.gauge(name, help, labels, (of) => {
        of.reset();
        for (const [source, heartbeat] of this.#read()) {
          const current = value(heartbeat);
          if (current !== null) of.set({ source, endpoint: heartbeat.endpoint }, current);
        }
      });
    };
    gauge('endpoint_reachable', '1 when the endpoint answered its newest probe.', ({ reachable }) =>
      reachable ? 1 : 0,
    );
    gauge('replica_lag_seconds', 'How far a replica is behind.', ({ replicaLagMs }) => toSeconds(replicaLagMs));
    gauge('endpoint_round_trip_seconds', 'Of a small query.', ({ roundTripMs }) => toSeconds(roundTripMs));
    gauge('endpoint_clock_offset_seconds', "The server's clock minus this worker's clock.", ({ clockOffsetMs }) =>
      toSeconds(clockOffsetMs),
    );
  }

  /** Where the gauges look: heartbeats that are not older than their time to live. */
  observe(read: () => readonly (readonly [source: string, heartbeat: ServerHeartbeat])[]): void {
    this.#read = read;
  }

  probed(source: string, { endpoint, reachable }: ServerHeartbeat, tookMs: number): void {
    this.#probes.inc({ source, endpoint });
    if (!reachable) this.#failed.inc({ source, endpoint });
    this.#seconds.observe({ source, endpoint }, tookMs / 1000);
  }
}

function toSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}
