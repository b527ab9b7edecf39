/** What DSS knows of a kind of sink. */
export interface SinkKit {
  /** Those of the sink's own counters (`SinkStatus.counters`) that are exported as metrics, and what they say. */
  readonly metrics: readonly SinkMetric[];
}

export interface SinkMetric {
  readonly counter: string;
  /** Without the prefix `ditto_dss_sink_`. */
  readonly name: string;
  readonly help: string;
}
