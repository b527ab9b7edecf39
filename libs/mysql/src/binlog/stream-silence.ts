import { DittoError } from '#kernel';
import { type SessionState } from '../silence-watch.ts';
import { EventType } from './event-header.ts';

/** How often in a row a server that seeks is asked whether it still does: with the default of 20 s, for ten minutes. */
const MOST_QUESTIONS = 30;
/** The timer looks so often in the time of the limit. */
const LOOKS = 4;

export interface StreamSilenceOptions {
  readonly silenceMs: number;
  /** False while the reader itself lets the server wait. */
  readonly isListening: () => boolean;
  /**
   * Given where the server says nothing while it passes over the log before the place of the start: what it says of its
   * dump. Null where it sends heartbeats then too.
   */
  readonly askWhileSeeking: (() => Promise<SessionState>) | null;
  readonly onSilence: (error: DittoError) => void;
}

/**
 * Notices that no byte came for a while; costs one assignment for each network chunk. Bytes count, not events: one event
 * can take longer than the limit to arrive.
 */
export class StreamSilence {
  readonly #options: StreamSilenceOptions;
  readonly #timer: NodeJS.Timeout;
  /** Looks since there was life. */
  #looks = 0;
  #isSeeking: boolean;
  #questions = 0;
  #isStopped = false;

  constructor(options: StreamSilenceOptions) {
    this.#options = options;
    this.#isSeeking = options.askWhileSeeking !== null;
    // the first look may come just after a sign of life: only one more makes it all of that time
    this.#timer = setInterval(() => {
      if (++this.#looks > LOOKS) void this.#notice();
    }, options.silenceMs / LOOKS);
  }

  sawBytes(): void {
    this.#looks = 0;
  }

  /** `type`: of an event of the dump. Those before the place say what file it is; the first of a transaction is the place. */
  sawEvent(type: number): void {
    if (!this.#isSeeking) return;
    if (type === EventType.mariaDbGtid || type === EventType.heartbeat) this.#isSeeking = false;
  }

  restart(): void {
    this.#looks = 0;
    this.#timer.refresh();
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  async #notice(): Promise<void> {
    const { silenceMs, isListening, askWhileSeeking, onSilence } = this.#options;
    if (!isListening()) return;
    // no look counts before the answer; life ends that
    this.#looks = -Infinity;
    const mayWait = this.#isSeeking && askWhileSeeking !== null && ++this.#questions <= MOST_QUESTIONS;
    const isAlive = (mayWait && (await askWhileSeeking()) !== 'dead') || this.#looks >= 0;
    this.#looks = Math.max(this.#looks, 0);
    if (!isAlive && !this.#isStopped) onSilence(silence(silenceMs));
  }
}

function silence(silentMs: number): DittoError {
  return new DittoError('DITTO_SOURCE_SILENT', `not one byte of the log came from the source for ${silentMs} ms`, {
    retriable: true,
    context: { silentMs },
  });
}
