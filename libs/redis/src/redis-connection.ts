import { Redis } from 'ioredis';
import { type ClientTls, type DittoError, type Logger, silentLogger } from '#kernel';
import { luaScripts } from './lua-scripts.ts';
import { isFromReplica, toRedisError, unavailable } from './redis-error.ts';
import { RedisKeys } from './redis-keys.ts';
import { toRedisTarget } from './redis-target.ts';
import { explainTrouble } from './redis-trouble.ts';

export interface RedisOptions {
  /** `redis://` or `rediss://`, with user, password and database number where needed. */
  readonly url: string;
  /** Begins the name of every key. */
  readonly keyPrefix: string;
  /** TLS is used when given or when the URL says `rediss:`. */
  readonly tls?: ClientTls | undefined;
  readonly commandTimeoutMs?: number;
  readonly logger?: Logger;
}

export type ScriptName = keyof typeof luaScripts;
type ScriptRunner = Record<ScriptName, (...keysAndArguments: (string | number)[]) => Promise<unknown>>;

const COMMAND_TIMEOUT_MS = 2_000;

/**
 * The one connection to Redis. It connects in the background and again after each loss; one that does not answer a
 * command in time, or leads to a replica, counts as lost, so that the next one goes wherever the URL leads at that time.
 * Nothing is queued until then: a call whose answer was lost is rejected with `DITTO_REDIS_UNAVAILABLE` (retriable) and
 * may or may not have been carried out, also later; one while there is no connection with the reason for that, which is
 * retriable too. All that is sent here can be sent twice. No command may block.
 */
export class RedisConnection {
  readonly keys: RedisKeys;
  readonly #client: Redis;
  /** Why there is no connection; null while there is one. */
  #trouble: DittoError | null = unavailable('no connection yet');

  constructor(options: RedisOptions) {
    const { url, keyPrefix, tls, commandTimeoutMs = COMMAND_TIMEOUT_MS, logger = silentLogger } = options;
    this.keys = new RedisKeys(keyPrefix);
    const target = toRedisTarget(url, tls);
    if (target.ignored.length > 0)
      logger.warn('options of the Redis URL are not used: Ditto sets them itself', {
        options: target.ignored.join(', '),
      });
    this.#client = new Redis(target.url, {
      ...(target.tls && { tls: target.tls }),
      connectTimeout: 5_000,
      commandTimeout: commandTimeoutMs,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      reconnectOnError: isFromReplica,
      retryStrategy: delayReconnect,
      lazyConnect: true,
    });
    for (const [name, script] of Object.entries(luaScripts)) this.#client.defineCommand(name, script);
    this.#client.on('error', (error: Error) => {
      void explainTrouble(target, error).then((trouble) => this.#note(trouble, logger));
    });
    this.#client.on('ready', () => {
      this.#trouble = null;
      logger.info('Connected to Redis');
    });
    // The reconnect continues whatever the result of the first attempt is; the 'error' event has reported it.
    this.#client.connect().catch(() => undefined);
  }

  get isReady(): boolean {
    return this.#client.status === 'ready' && this.#stream?.writable === true;
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

  /** Also says whether Redis takes writes. */
  async ping(): Promise<void> {
    await this.run((client) => client.set(this.keys.ping(), '1', 'PX', 1_000));
  }

  /** One piece of work, its errors classified. */
  async run<T>(work: (client: Redis) => Promise<T>): Promise<T> {
    const stream = this.#stream;
    try {
      return await work(this.#client);
    } catch (error) {
      if (isTimeout(error)) stream?.destroy(new Error('Redis did not answer in time'));
      const isReply = error instanceof Error && error.name === 'ReplyError';
      throw this.isReady || isReply || this.#trouble === null ? toRedisError(error) : this.#trouble;
    }
  }

  #note(trouble: DittoError, logger: Logger): void {
    if (this.isReady) return;
    const { code, message, remedy } = trouble;
    if (message !== this.#trouble?.message)
      logger.warn('There is no connection to Redis, trying again', { code, error: message, remedy });
    this.#trouble = trouble;
  }

  /** Missing before the first connection, whatever the driver's types say. */
  get #stream(): Redis['stream'] | undefined {
    return this.#client.stream;
  }

  async runScript(name: ScriptName, keys: readonly string[], values: readonly (string | number)[]): Promise<unknown> {
    return this.run((client) => (client as unknown as ScriptRunner)[name](...keys, ...values));
  }

  /** Lets go at once; nothing is waited for. */
  close(): void {
    this.#client.disconnect();
  }
}

/** Milliseconds until the attempt of that number. */
export function delayReconnect(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 5), 1_000);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Command timed out';
}
