import type { SinkName } from '#configuration';
import type { Checkpoint } from '#change-events';
import type { LatencySummary, PipelineStatus, SinkStatus, TableSnapshotStatus } from '#replication';

/** What `GET /sources/:name` of DSS says. */
export interface DssStatus {
  readonly name: string;
  readonly state: 'waiting-for-lease' | 'starting' | 'streaming' | 'draining' | 'stopped' | 'failed';
  readonly checkpoint: Checkpoint | null;
  readonly lineage: number | null;
  /** The server whose log is streamed. */
  readonly server: { readonly endpoint: string } | null;
  /** While the stream is broken: why no other server has taken the place of its own yet. */
  readonly refusedServers: readonly { readonly endpoint: string; readonly code: string }[];
  readonly lastSwitch: {
    readonly to: string;
    readonly askedBy: string | null;
    readonly tookMs: number | null;
    readonly healing: { readonly gtids: string } | null;
  } | null;
  readonly pipeline: PipelineStatus | null;
  readonly sinks: Readonly<Partial<Record<SinkName, SinkStatus>>>;
  readonly snapshot: readonly TableSnapshotStatus[];
  readonly rowsPerSecond: number;
  readonly latencyMs: Readonly<Partial<Record<SinkName, LatencySummary>>>;
  readonly lagMs: number | null;
  readonly error: { readonly code: string; readonly message: string; readonly remedy: string | null } | null;
}

const ANSWER_MS = 5_000;

/** Null while DSS can't say it: it starts, or is too busy for an answer in time. */
export async function readDssStatus(url: string, source: string, signal: AbortSignal): Promise<DssStatus | null> {
  try {
    const response = await fetch(`${url}/sources/${source}`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    return response.ok ? ((await response.json()) as DssStatus) : null;
  } catch {
    signal.throwIfAborted();
    return null; // the caller asks again and watches the process
  }
}

export function isSnapshotDone({ snapshot }: DssStatus, tables: number): boolean {
  return snapshot.length >= tables && snapshot.every(({ state }) => state === 'done');
}
