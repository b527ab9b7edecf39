import { Injectable } from '@nestjs/common';
import { type DittoConfig, type WebhookConfig } from '#configuration';
import { createLogger, InjectConfig, Metrics } from '#platform';
import { type DueNotice, StateNoticeStore } from '#state';
import { callWebhook } from './webhook-call.ts';

const MOST_AT_ONCE = 200;
/** A slow webhook keeps the others waiting for so long and one call; what is left is sent in the next turn. */
const TURN_MS = 10_000;
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
  readonly #calls;
  readonly #failing = new Set<string>();

  constructor(@InjectConfig() config: DittoConfig, notices: StateNoticeStore, metrics: Metrics) {
    this.#webhooks = new Map(config.webhooks.map((webhook) => [webhook.name, webhook]));
    this.#notices = notices;
    this.#calls = metrics.counter('webhook_calls_total', 'Calls of webhooks, by what became of them.', [
      'webhook',
      'outcome',
    ]);
  }

  /** A notice that was delivered just before the process ended is sent again, with the same id. */
  async deliver(signal: AbortSignal): Promise<{ readonly delivered: number }> {
    const names = await this.#notices.listWebhooks(Date.now());
    const delivered = await Promise.all(names.map((name) => this.#deliverTo(name, signal)));
    return { delivered: delivered.reduce((sum, count) => sum + count, 0) };
  }

  async #deliverTo(name: string, signal: AbortSignal): Promise<number> {
    const startedAtMs = Date.now();
    const webhook = this.#webhooks.get(name);
    const due = await this.#notices.listDue(name, startedAtMs, MOST_AT_ONCE);
    let delivered = 0;
    for (const notice of due) {
      signal.throwIfAborted();
      if (Date.now() - startedAtMs >= TURN_MS) break;
      if (webhook === undefined) await this.#giveUp(notice, 'the configuration of this DWS has no such webhook');
      else if (Date.now() - notice.createdAtMs >= GIVEN_UP_MS) await this.#giveUp(notice, 'it is too old');
      else if (await this.#send(notice, webhook, signal)) delivered++;
      // the next one is tried in the next turn: a receiver that is away is not called for each of many
      else break;
    }
    return delivered;
  }

  /** False when the webhook has not taken it, or another worker is about to send it. */
  async #send(
    notice: DueNotice,
    { name, url, secret, timeoutMs }: WebhookConfig,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { id, event, source, attempts } = notice;
    const delayMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempts, 20));
    // first: where the answer can not be recorded, it is not sent again at once
    if (!(await this.#notices.claim(notice, Date.now() + timeoutMs + delayMs))) return false;
    const target = { url: url.reveal(), secret: secret.reveal(), timeoutMs };
    const error = await callWebhook(target, notice, Date.now(), signal);
    this.#calls.inc({ webhook: name, outcome: error === null ? 'delivered' : 'failed' });
    if (error === null) {
      if (this.#failing.delete(name)) this.#logger.info('a webhook takes notices again', { webhook: name });
      await this.#notices.end(id, null, Date.now());
      return true;
    }
    if (!this.#failing.has(name))
      this.#logger.warn('a webhook takes no notice; it is tried again', { webhook: name, event, source, error });
    this.#failing.add(name);
    await this.#notices.delay(id, error, Date.now() + delayMs);
    return false;
  }

  async #giveUp({ id, webhook, event, source }: DueNotice, why: string): Promise<void> {
    this.#logger.error('a notice is given up', { webhook, event, source, id, error: why });
    this.#calls.inc({ webhook, outcome: 'given-up' });
    await this.#notices.end(id, why, Date.now());
  }
}
