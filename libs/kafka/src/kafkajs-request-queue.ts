// @ts-expect-error -- kafkajs has no types of what it does not export
import RequestQueueClass from 'kafkajs/src/network/requestQueue/index.js';

/** What is used here of kafkajs's queue for the requests of one connection. */
interface RequestQueue {
  readonly pending: readonly unknown[];
  /** Time in milliseconds; -1 as long as the broker has not asked for less. */
  readonly throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  /** Those that were sent and not answered. */
  readonly inflight: ReadonlyMap<number, SentRequest>;
  readonly enforceRequestTimeout: boolean;
  /** In milliseconds; no request has less. */
  readonly requestTimeout: number;
  requestTimeoutIntervalId: NodeJS.Timeout | undefined;
  isConnected(): boolean;
  destroy(): void;
  checkPendingRequests(): void;
  scheduleCheckPendingRequests(): void;
  scheduleRequestTimeoutCheck(): void;
}

interface SentRequest {
  readonly sentAt: number;
  readonly requestTimeout: number;
  timeoutRequest(): void;
}

const CHECK_MS = 10;
const { prototype } = RequestQueueClass as { readonly prototype: RequestQueue };

/**
 * kafkajs 2.2.4, its last release, looks after each answer for requests that wait, and again and again until the
 * connection is closed, also when none does: the time of the next look is then far in the past, of which Node warns and
 * makes a millisecond. An idle connection took 3 per cent of a core by that. With this it looks only while requests wait;
 * each one that begins to wait has `scheduleCheckPendingRequests` called.
 */
export function lookOnlyForWaitingRequests(): void {
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue): void {
    if (this.pending.length === 0 || this.throttleCheckTimeoutId !== null) return;
    const delayMs = Math.max(this.throttledUntil - Date.now(), CHECK_MS);
    this.throttleCheckTimeoutId = setTimeout(() => {
      this.throttleCheckTimeoutId = null;
      this.checkPendingRequests();
    }, delayMs);
  };
}

/**
 * kafkajs looks ten times a second, on each connection, whether a request is late, which was most of what an idle reader
 * took. With this it looks when the oldest one would be.
 */
export function lookOnlyForLateRequests(): void {
  prototype.scheduleRequestTimeoutCheck = function (this: RequestQueue): void {
    if (!this.enforceRequestTimeout) return;
    this.destroy();
    const look = (): void => {
      const now = Date.now();
      // what is sent from now on is not late before that
      let nextMs = this.requestTimeout;
      for (const request of this.inflight.values()) {
        const leftMs = request.sentAt + request.requestTimeout - now;
        if (leftMs < 0) request.timeoutRequest();
        else nextMs = Math.min(nextMs, leftMs);
      }
      if (this.isConnected()) lookIn(nextMs + 1);
      else this.destroy();
    };
    const lookIn = (delayMs: number): void => {
      this.requestTimeoutIntervalId = setTimeout(look, delayMs).unref();
    };
    lookIn(this.requestTimeout + 1);
  };
}
