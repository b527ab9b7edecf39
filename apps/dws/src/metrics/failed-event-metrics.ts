import { Injectable } from '@nestjs/common';
import { formatTableName } from '#change-events';
import { Metrics } from '#platform';
import { FailedEventStore } from '#replication';

/** Of the state database, the same in all workers. */
@Injectable()
export class FailedEventMetrics {
  constructor(metrics: Metrics, events: FailedEventStore) {
    const labels = ['source', 'sink', 'table', 'state'];
    metrics.gauge('failed_events', 'Rows that a sink lacks because it refused them.', labels, async (gauge) => {
      // without the state database there is no number, which is not zero
      const counts = await events.count().catch(() => []);
      gauge.reset();
      for (const { source, sink, state, count, ...table } of counts)
        gauge.set({ source, sink, table: formatTableName(table), state }, count);
    });
  }
}
