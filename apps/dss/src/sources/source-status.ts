import { type Checkpoint } from '#change-events';
import { type Wait } from '#kernel';
import {
  type LatencySummary,
  type PipelineStatus,
  type QuarantineStatus,
  type SnapshotCounts,
  type SinkStatus,
  type TableSnapshotStatus,
} from '#replication';
import { type Healing } from '../opening/heal.ts';
import { type PurgeForecast } from '../purging/purge-forecast.ts';
import { type StreamedServer } from './source-run.ts';

export type SourceState = 'waiting-for-lease' | 'starting' | 'streaming' | 'draining' | 'stopped' | 'failed';

export interface ErrorStatus {
  readonly code: string;
  readonly message: string;
  readonly remedy: string | null;
}

/** The last switch of a source to another server that this process has done or tried. */
export interface SwitchStatus {
  /** UUID of the server that the source was streamed from. */
  readonly from: string;
  /** `host:port` */
  readonly to: string;
  /** Null where the source moved by itself. */
  readonly askedBy: string | null;
  readonly atMs: number;
  /** From when the server before was lost until the source was opened on the other one; null for a switch that was asked for. */
  readonly tookMs: number | null;
  /** Why it was not done; null when it was. */
  readonly error: ErrorStatus | null;
  /** What was given up because the server did not have it, and what is read again for that; null where nothing was. */
  readonly healing: Healing | null;
}

/** What `GET /sources/:name` says; times in milliseconds. */
export interface SourceStatus {
  readonly name: string;
  readonly state: SourceState;
  readonly owner: string | null;
  readonly token: number | null;
  readonly lineage: number | null;
  readonly checkpoint: Checkpoint | null;
  /** The server whose log is, or was last, streamed by this ownership; null before it is opened. */
  readonly server: StreamedServer | null;
  /** While the stream is broken: why no other server has taken the place of its own yet. */
  readonly refusedServers: readonly ({ readonly endpoint: string } & ErrorStatus)[];
  /** Switches to another server since this process started. */
  readonly switches: number;
  readonly lastSwitch: SwitchStatus | null;
  readonly pipeline: PipelineStatus | null;
  readonly sinks: Readonly<Record<string, SinkStatus>>;
  /** Rows whose changes are held back, by sink and table; at most a hundred of these. */
  readonly quarantine: readonly QuarantineStatus[];
  /** Tables that are worth a look first, not more than a hundred; `GET /sources/:name/tables` lists all of them. */
  readonly snapshot: readonly TableSnapshotStatus[];
  readonly snapshotTables: SnapshotCounts;
  /** GTIDs that only one of the servers has, as a set; '' when there are none, or rows are read where the log is. */
  readonly errantGtids: string;
  /** What has been waited for longer than usual; not an error, but the reason why something does not move. */
  readonly waits: readonly Wait[];
  /** How long the server keeps what was not read of its log, as it was asked last; null where it is not known. */
  readonly logPurge: PurgeForecast | null;
  /** Changes dispatched per second, over about the last five seconds. */
  readonly rowsPerSecond: number;
  /** From commit to confirmation, over the last 10 to 20 seconds. */
  readonly latencyMs: Readonly<Record<string, LatencySummary>>;
  /** Age of the newest confirmed change when it was confirmed; while disconnected, age of the newest one read. */
  readonly lagMs: number | null;
  readonly error: ErrorStatus | null;
}
