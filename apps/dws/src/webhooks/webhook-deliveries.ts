import { Injectable } from '@nestjs/common';
import { type DittoConfig, type WebhookConfig } from '#configuration';
import { createLogger, InjectConfig, Metrics } from '#platform';
import { type DueNotice, StateDatabase, StateNoticeStore } from '#state';
import { callWebhook } from './webhook-call.ts';

const MOST_AT_ONCE = 200;
const FIRST_RETRY_MS = 5000;
const LAST_RETRY_MS = 3_600_000;
/** A receiver may be away for so long. */
const GIVEN_UP_MS = 3 * 86_400_000;

/** Sends what is due to the webhooks: side by side to several, one by one to each. */
@Injectable()
export class WebhookDeliveries {
  readonly #webhooks: ReadonlyMap<string, WebhookConfig>;
  readonly #notices: StateNoticeStore;
  readonly #logger = createLogger('webhooks');
  readonly #sent;
  readonly #failing = new Set<string>();

  constructor(@InjectConfig() config: DittoConfig, state: StateDatabase, metrics: Metrics) {
    this.#webhooks = new Map(config.webhooks.map((webhook) => [webhook.name, webhook]));
    this.#notices = new StateNoticeStore(state);
    this.#sent = metrics.counter('webhook_calls_total', 'Calls of webhooks, by what became of them.', [
      'webhook',
      'outcome',
    ]);
  }

  /** A notice that was delivered just before the process ended is sent again, with the same id. */
  async deliver(signal: AbortSignal): Promise<{ readonly delivered: number }> {
    const due = Map.groupBy(await this.#notices.listDue(Date.now(), MOST_AT_ONCE), ({ webhook }) => webhook);
    const delivered = await Promise.all([...due].map(([name, notices]) => this.#deliverTo(name, notices, signal)));
    return { delivered: delivered.reduce((sum, count) => sum + count, 0) };
  }

  async #deliverTo(name: string, notices: readonly DueNotice[], signal: AbortSignal): Promise<number> {
    const webhook = this.#webhooks.get(name);
    let delivered = 0;
    for (const notice of notices) {
      signal.throwIfAborted();
      if (webhook === undefined) {
        await this.#notices.end(notice.id, 'the configuration has no such webhook', Date.now());
        continue;
      }
      const { url, secret, timeoutMs } = webhook;
      const target = { url: url.reveal(), secret: secret.reveal(), timeoutMs };
      const error = await callWebhook(target, notice, Date.now(), signal);
      await this.#settle(notice, error);
      // the next one is tried in the next turn: a receiver that is away is not called for each of many
      if (error !== null) break;
      delivered++;
    }
    return delivered;
  }

  async #settle({ id, webhook, event, source, createdAtMs, attempts }: DueNotice, error: string | null): Promise<void> {
    const nowMs = Date.now();
    if (error === null) {
      this.#sent.inc({ webhook, outcome: 'delivered' });
      if (this.#failing.delete(webhook)) this.#logger.info('a webhook takes notices again', { webhook });
      return this.#notices.end(id, null, nowMs);
    }
    this.#sent.inc({ webhook, outcome: 'failed' });
    if (nowMs - createdAtMs >= GIVEN_UP_MS) {
      this.#logger.error('a notice is given up', { webhook, event, source, id, error });
      return this.#notices.end(id, error, nowMs);
    }
    if (!this.#failing.has(webhook))
      this.#logger.warn('a webhook takes no notice; it is tried again', { webhook, event, source, error });
    this.#failing.add(webhook);
    const delayMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempts, 20));
    return this.#notices.delay(id, error, nowMs + delayMs);
  }
}
