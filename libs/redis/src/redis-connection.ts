import { type ConnectionOptions } from 'node:tls';
import { Redis } from 'ioredis';
import { type Logger, silentLogger } from '#kernel';
import { luaScripts } from './lua-scripts.ts';
import { toRedisError } from './redis-error.ts';
import { RedisKeys } from './redis-keys.ts';

export interface RedisOptions {
  /** `redis://` or `rediss://`, with user, password and database number where needed. */
  readonly url: string;
  /** Begins the name of every key. */
  readonly keyPrefix: string;
  /** TLS is used when given or when the URL says `rediss:`. */
  readonly tls?: ConnectionOptions | undefined;
  readonly commandTimeoutMs?: number;
  readonly logger?: Logger;
}

export type ScriptName = keyof typeof luaScripts;
type ScriptRunner = Record<ScriptName, (...keysAndArguments: (string | number)[]) => Promise<unknown>>;

/**
 * The one connection to Redis. It connects in the background and again after each loss; nothing is queued meanwhile:
 * a call while Redis is away, or whose answer was lost, is rejected with `DITTO_REDIS_UNAVAILABLE` (retriable) and may
 * or may not have been carried out. All that is sent here bears being sent twice.
 */
export class RedisConnection {
  readonly keys: RedisKeys;
  readonly #client: Redis;

  constructor(options: RedisOptions) {
    const { url, keyPrefix, tls, commandTimeoutMs = 2_000, logger = silentLogger } = options;
    this.keys = new RedisKeys(keyPrefix);
    this.#client = new Redis(url, {
      ...(tls && { tls }),
      connectTimeout: 5_000,
      commandTimeout: commandTimeoutMs,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 5), 1_000),
      lazyConnect: true,
    });
    for (const [name, script] of Object.entries(luaScripts)) this.#client.defineCommand(name, script);
    let lastMessage = '';
    this.#client.on('error', (error: Error) => {
      if (error.message !== lastMessage) logger.warn('The connection to Redis has an error', { error: error.message });
      lastMessage = error.message;
    });
    this.#client.on('ready', () => {
      lastMessage = '';
      logger.info('Connected to Redis');
    });
    // The reconnect goes on whatever becomes of the first attempt; the 'error' event has reported it.
    this.#client.connect().catch(() => undefined);
  }

  get isReady(): boolean {
    return this.#client.status === 'ready';
  }

  /** Resolves at the first connection; rejects with the signal's reason. */
  async waitUntilReady(signal?: AbortSignal): Promise<void> {
    if (this.isReady) return;
    await new Promise<void>((resolve, reject) => {
      const settle = () => {
        this.#client.off('ready', settle);
        signal?.removeEventListener('abort', settle);
        if (signal?.aborted) reject(signal.reason as Error);
        else resolve();
      };
      this.#client.once('ready', settle);
      signal?.addEventListener('abort', settle, { once: true });
    });
  }

  async ping(): Promise<void> {
    await this.run((client) => client.ping());
  }

  /** One piece of work, its errors classified. */
  async run<T>(work: (client: Redis) => Promise<T>): Promise<T> {
    try {
      return await work(this.#client);
    } catch (error) {
      throw toRedisError(error);
    }
  }

  async runScript(name: ScriptName, keys: readonly string[], values: readonly (string | number)[]): Promise<unknown> {
    return this.run((client) => (client as unknown as ScriptRunner)[name](...keys, ...values));
  }

  /** Lets go at once; nothing is waited for. */
  close(): void {
    this.#client.disconnect();
  }
}
