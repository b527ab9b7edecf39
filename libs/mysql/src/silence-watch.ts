/** What the server says, on another connection, of a session that is silent. */
export type SessionState =
  /** It works on the query: the silence has a reason. */
  | 'working'
  /** It is gone, has nothing to do, or waits for this side to take what it sends; or the server does not answer at all. */
  | 'dead'
  /** Another server answered, or this one has no room for the question. */
  | 'unknown';

export interface SilenceWatchOptions {
  /** So long nothing may come before the server is asked; then it is asked again and again. */
  readonly silenceMs: number;
  /** How many bytes the connection has received. */
  readonly bytesRead: () => number;
  readonly ask: () => Promise<SessionState>;
  /** Called once, when the session is of no more use. */
  readonly onDead: (silentMs: number) => void;
}

/** An answer may be on its way while the server says that it has nothing to do: only the second look counts. */
const DOUBTS = 2;
/** What can't be found out is believed to work for so many times `silenceMs`. */
const UNKNOWN_PERIODS = 30;

/**
 * Watches one query for a silence that has no reason, as when the other side of a proxy has vanished. A query may be
 * silent for as long as it likes while the server works on it. Returns what ends the watch.
 */
export function watchForSilence({ silenceMs, bytesRead, ask, onDead }: SilenceWatchOptions): () => void {
  let seen = bytesRead();
  let seenAtMs = performance.now();
  let doubts = 0;
  let isOver = false;
  let timer = setTimeout(look, silenceMs);

  function isSilent(): boolean {
    const now = bytesRead();
    if (now === seen) return true;
    seen = now;
    seenAtMs = performance.now();
    return false;
  }

  function look(): void {
    if (!isSilent()) {
      doubts = 0;
      timer = setTimeout(look, silenceMs);
      return;
    }
    void ask().then(judge);
  }

  function judge(state: SessionState): void {
    if (isOver) return;
    const silentMs = performance.now() - seenAtMs;
    if (!isSilent() || state === 'working') doubts = 0;
    else if (state === 'dead') doubts++;
    const isDead = doubts >= DOUBTS || (state === 'unknown' && silentMs > UNKNOWN_PERIODS * silenceMs);
    if (isDead) onDead(Math.round(silentMs));
    else timer = setTimeout(look, doubts > 0 ? silenceMs / 4 : silenceMs);
  }

  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}
