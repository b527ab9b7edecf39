/** What the newest probe found at one endpoint. What could not be learnt is null; times are milliseconds since 1970. */
export class HeartbeatDto {
  /** `host:port` */
  readonly endpoint!: string;
  readonly probedAtMs!: number;
  readonly reachable!: boolean;
  /** When a probe first found it so; null while it is reachable. */
  readonly unreachableSinceMs!: number | null;
  /** Code and reason of the newest failure. */
  readonly error!: string | null;
  readonly serverUuid!: string | null;
  readonly serverVersion!: string | null;
  readonly executedGtidSet!: string | null;
  readonly purgedGtidSet!: string | null;
  readonly readOnly!: boolean | null;
  readonly superReadOnly!: boolean | null;
  /** Null on a server that is not a replica, and on one that does not know. */
  readonly replicaLagMs!: number | null;
  readonly roundTripMs!: number | null;
  /** The server's clock minus the prober's. */
  readonly clockOffsetMs!: number | null;
  /** Why a replica does not follow: its last error, or which of its threads rests. */
  readonly replicaError!: string | null;
}

export class SourceHeartbeatsDto {
  readonly source!: string;
  readonly endpoints!: HeartbeatDto[];
  /** Endpoints of the configuration that nobody has probed lately. */
  readonly unprobed!: string[];
  /** Why what other workers found is missing; null when all is there. */
  readonly incompleteBecause!: string | null;
}

export class UnreachableEndpointDto {
  readonly source!: string;
  readonly endpoint!: string;
  readonly sinceMs!: number;
  readonly error!: string;
}

export class HeartbeatsDto {
  readonly sources!: SourceHeartbeatsDto[];
  /** The endpoints among them that did not answer. */
  readonly unreachable!: UnreachableEndpointDto[];
}
