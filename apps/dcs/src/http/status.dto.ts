/** What a service instance says about itself. Times are milliseconds since 1970, by its clock. */
export class ServiceDto {
  readonly service!: 'dss' | 'dws' | 'dcs';
  /** Unique among all processes, also over restarts. */
  readonly instance!: string;
  readonly startedAtMs!: number;
  readonly reportedAtMs!: number;
  /** Base URL of its REST API. */
  readonly url!: string | null;
  readonly details!: Record<string, unknown>;
}

export class ServicesDto {
  readonly services!: ServiceDto[];
}

/** What the newest probe found at one endpoint of a source. What could not be learnt is null. */
export class ServerDto {
  /** `host:port` */
  readonly endpoint!: string;
  /** Milliseconds since 1970. */
  readonly probedAtMs!: number;
  readonly reachable!: boolean;
  /** When a probe first found it so, milliseconds since 1970; null while it is reachable. */
  readonly unreachableSinceMs!: number | null;
  readonly error!: string | null;
  readonly serverUuid!: string | null;
  readonly serverVersion!: string | null;
  readonly executedGtidSet!: string | null;
  readonly purgedGtidSet!: string | null;
  readonly readOnly!: boolean | null;
  readonly superReadOnly!: boolean | null;
  /** Null on a server that is not a replica. */
  readonly replicaLagMs!: number | null;
  readonly roundTripMs!: number | null;
  /** The server's clock minus the prober's. */
  readonly clockOffsetMs!: number | null;
  /** Why a replica does not follow: its last error, or which of its threads rests. */
  readonly replicaError!: string | null;
}

export class SourceServersDto {
  readonly source!: string;
  readonly servers!: ServerDto[];
}

export class ServersDto {
  readonly sources!: SourceServersDto[];
}
