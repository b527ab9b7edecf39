import { Injectable } from '@nestjs/common';
import { Metrics } from '#platform';

/** Whether the topics have a message of each change of the log, as far as this worker has looked. */
@Injectable()
export class GapMetrics {
  readonly #messages;
  readonly #cuts;

  constructor(metrics: Metrics) {
    this.#messages = metrics.counter(
      'logged_messages_total',
      'Messages that changes of the log must have: found, missing, or why that is not known.',
      ['source', 'outcome'],
    );
    this.#cuts = metrics.counter(
      'log_parts_left_out_total',
      'How often a part of the log was not compared with the topics, and why.',
      ['source', 'reason'],
    );
  }

  judged(source: string, outcome: string, messages: number): void {
    this.#messages.inc({ source, outcome }, messages);
  }

  cut(source: string, reason: string): void {
    this.#cuts.inc({ source, reason });
  }
}
