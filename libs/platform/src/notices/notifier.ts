import { randomUUID } from 'node:crypto';
import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { type DittoConfig, type NoticeEvent } from '#configuration';
import { Deferred, sleep, toDittoError, withTimeout } from '#kernel';
import { createLogger } from '../logging/root-logger.ts';
import { LongWork } from '../service/long-work.ts';
import { InjectConfig } from '../service/platform.module.ts';
import { Shutdown } from '../service/shutdown.ts';
import { type NewNotice, NoticeStore } from './notice-store.ts';

export interface Notice {
  readonly event: NoticeEvent;
  readonly source: string;
  /** Beside `id`, `event`, `atMs` and `source`. */
  readonly details: Readonly<Record<string, unknown>>;
  /** Said once, whichever process says it how often. */
  readonly uniqueKey?: string;
}

const RETRY_MS = 1000;
const LAST_TRY_MS = 2000;
const MOST_AT_ONCE = 100;
/** In the memory of this process, while the state database is away. */
const MOST_KEPT = 1000;

/** Hands what a person should know to the webhooks of the configuration. Nobody waits for it. */
@Injectable()
export class Notifier extends LongWork implements BeforeApplicationShutdown {
  readonly #webhooks: DittoConfig['webhooks'];
  readonly #store: NoticeStore;
  readonly #logger = createLogger('notices');
  readonly #waiting: NewNotice[] = [];
  readonly #said = new Set<string>();
  #wake = new Deferred<void>();
  #isFailing = false;

  constructor(@InjectConfig() config: DittoConfig, store: NoticeStore, shutdown: Shutdown) {
    super(shutdown);
    this.#webhooks = config.webhooks;
    this.#store = store;
  }

  /** Durable soon: what waits in this process while the state database is away is lost with the process. */
  notify({ event, source, details, uniqueKey }: Notice): void {
    if (uniqueKey !== undefined && this.#wasSaid(`${event} ${uniqueKey}`)) return;
    const createdAtMs = Date.now();
    for (const { name: webhook, events } of this.#webhooks) {
      if (!events.includes(event)) continue;
      const id = randomUUID();
      const body = JSON.stringify({ id, event, atMs: createdAtMs, source, ...details });
      this.#waiting.push({ id, webhook, event, source, body, createdAtMs, uniqueKey: uniqueKey ?? null });
    }
    if (this.#waiting.length > MOST_KEPT) {
      const dropped = this.#waiting.splice(0, this.#waiting.length - MOST_KEPT);
      this.#logger.error('notices are lost: too many wait for the state database', { dropped: dropped.length });
    }
    if (this.#waiting.length > 0) this.#wake.resolve();
  }

  protected override async run(signal: AbortSignal): Promise<void> {
    const stopped = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    while (!signal.aborted) {
      await Promise.race([this.#wake.promise, stopped]);
      this.#wake = new Deferred();
      await this.#flushAll(signal);
    }
  }

  /** What has stopped as the service ends may have said something. */
  async beforeApplicationShutdown(): Promise<void> {
    const late = (): Error => new Error('the state database is not waited for any longer');
    await withTimeout(this.#flushOnce(), LAST_TRY_MS, late).catch(() => undefined);
    if (this.#waiting.length > 0)
      this.#logger.error('notices are lost: the state database does not take them', { lost: this.#waiting.length });
  }

  async #flushOnce(): Promise<void> {
    while (this.#waiting.length > 0 && (await this.#flush()));
  }

  async #flushAll(signal: AbortSignal): Promise<void> {
    while (this.#waiting.length > 0 && !signal.aborted)
      if (!(await this.#flush())) await sleep(RETRY_MS, signal).catch(() => undefined);
  }

  async #flush(): Promise<boolean> {
    const some = this.#waiting.slice(0, MOST_AT_ONCE);
    try {
      await this.#store.add(some);
      const added = new Set(some);
      const rest = this.#waiting.filter((notice) => !added.has(notice));
      this.#waiting.splice(0, this.#waiting.length, ...rest);
      this.#isFailing = false;
      return true;
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      if (!this.#isFailing) this.#logger.warn('notices can not be kept, trying on', { code, error: message });
      this.#isFailing = true;
      return false;
    }
  }

  #wasSaid(key: string): boolean {
    if (this.#said.has(key)) return true;
    if (this.#said.size >= MOST_KEPT) this.#said.clear();
    this.#said.add(key);
    return false;
  }
}
