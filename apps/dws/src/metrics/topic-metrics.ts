import { Injectable } from '@nestjs/common';
import { Metrics } from '#platform';
import { TopicConnection } from '../connections/topic-connection.ts';

/** Of the topics that this worker keeps folded. */
@Injectable()
export class TopicMetrics {
  constructor(metrics: Metrics, topics: TopicConnection) {
    const help = 'Messages of a topic that are out of order, among those that are left.';
    metrics.gauge('out_of_order_messages', help, ['topic'], (gauge) => {
      gauge.reset();
      for (const [topic, { outOfOrder }] of topics.status()) gauge.set({ topic }, outOfOrder);
    });
  }
}
