import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { isAbort, sleep, toDittoError } from '#kernel';
import { createLogger, type DittoConfig, InjectConfig, Shutdown } from '#platform';
import { StatusBoard } from './status-board.ts';

const intervalMs = 2_000;
const ttlMs = 10_000;

/** Puts this instance on the board, again and again until the shutdown. */
@Injectable()
export class SelfReport implements OnApplicationBootstrap {
  readonly #board: StatusBoard;
  readonly #shutdown: Shutdown;
  readonly #config: DittoConfig;
  readonly #instance = `${hostname()}/${process.pid}/${randomUUID().slice(0, 8)}`;
  readonly #startedAtMs = Date.now();
  readonly #logger = createLogger('self-report');

  constructor(board: StatusBoard, shutdown: Shutdown, @InjectConfig() config: DittoConfig) {
    this.#board = board;
    this.#shutdown = shutdown;
    this.#config = config;
  }

  onApplicationBootstrap(): void {
    this.#run(this.#shutdown.signal).catch((error: unknown) => {
      if (!isAbort(error)) throw error;
    });
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { http, rpc, recentEvents } = this.#config.dcs;
    const status = {
      service: 'dcs',
      instance: this.#instance,
      startedAtMs: this.#startedAtMs,
      url: `http://${http.host}:${http.port}`,
      details: { rpc: `${rpc.host}:${rpc.port}`, recentEvents: recentEvents.enabled },
    } as const;
    let complained = false;
    for (;;) {
      try {
        await this.#board.reportService({ ...status, reportedAtMs: Date.now() }, ttlMs);
        complained = false;
      } catch (error) {
        const { code, message } = toDittoError(error);
        if (!complained) this.#logger.warn('this instance can not report itself', { code, error: message });
        complained = true;
      }
      await sleep(intervalMs, signal);
    }
  }
}
