import { type Type } from '@nestjs/common';
import { ApiExtraModels, ApiProperty, getSchemaPath } from '@nestjs/swagger';

/** A place in a source's log, at the end of a transaction. */
export class PositionDto {
  /** Everything at or before this place, as a GTID set. */
  readonly gtidSet!: string;
  /** Log file; empty when not known. */
  readonly file!: string;
  /** Offset in the file, just after the last event covered. */
  readonly offset!: number;
  /** UUID of the server whose file this is. */
  readonly serverUuid!: string;
}

/** A transaction as a log holds it: what recognises it there. */
export class LoggedTransactionDto {
  readonly gtid!: string;
  /** The server whose log holds it at this place. */
  readonly serverUuid!: string;
  readonly lineage!: number;
  readonly file!: string;
  /** Where its first event begins. */
  readonly offset!: number;
  /** Microseconds since 1970. */
  readonly commitMicros!: number;
  /** Of its content, for MariaDB; else empty. */
  readonly digest!: string;
}

/** The newest position such that every sink has confirmed every change at or before it. */
export class CheckpointDto {
  readonly source!: string;
  readonly lineage!: number;
  readonly position!: PositionDto;
  /** GTIDs of all transactions that were given to a sink, confirmed or not. */
  readonly dispatchedSet!: string;
  /** GTIDs of XA PREPAREs up to this position whose outcome comes after it; in no other set. */
  readonly undecidedSet!: string;
  readonly version!: string;
  /** Microseconds since 1970; 0 before the first transaction. */
  readonly commitMicros!: number;
  /** The last transaction covered; null when none is known. */
  readonly lastCovered!: LoggedTransactionDto | null;
  /** The last transaction given to a sink; null when none is known. */
  readonly lastDispatched!: LoggedTransactionDto | null;
  readonly savedAtMs!: number;
}

export class PipelineDto {
  /** idle, streaming, reconnecting, draining, stopped */
  readonly phase!: string;
  readonly transactions!: number;
  readonly changes!: number;
  readonly logBytes!: number;
  readonly bytesInFlight!: number;
  /** Microseconds since 1970. */
  readonly lastCommitMicros!: number;
  readonly reconnects!: number;
  /** Changes sent again because a crash had left them unconfirmed, as far as the checkpoint knows of them. */
  readonly repeatedChanges!: number;
  /** GTIDs up to which changes may be repetitions of what an owner before had dispatched; null when that is over. */
  readonly replayingUntil!: string | null;
  readonly lastError!: string | null;
}

export class SinkDto {
  readonly bytesInFlight!: number;
  readonly changesInFlight!: number;
  readonly confirmedChanges!: number;
  readonly retries!: number;
  /** What only this sink counts, by name. */
  readonly counters!: Record<string, number>;
  /** The error that the sink is backing off from, and since when. */
  readonly holdingBecause!: string | null;
}

/** Rows of one table that a sink has refused: their changes are held back (`GET /failed-events` of DWS lists them). */
export class QuarantineDto {
  readonly sink!: string;
  readonly database!: string;
  readonly table!: string;
  /** Rows that are tried again. */
  readonly keys!: number;
  /** Rows that somebody has discarded, whose next change is delivered. */
  readonly discarded!: number;
  /** Changes held back by this process since it owns the source. */
  readonly heldChanges!: number;
}

export class SourceErrorDto {
  readonly code!: string;
  readonly message!: string;
  readonly remedy!: string | null;
}

export class TableSnapshotDto {
  readonly database!: string;
  readonly table!: string;
  /** pending, running, done, unavailable */
  readonly state!: string;
  readonly rowsRead!: number;
  readonly estimatedRows!: number;
  /** Why a table can't be copied. */
  readonly reason!: string | null;
  /** Whether it is read again when the read under way is complete: foreign keys changed rows during it. */
  readonly again!: boolean;
  readonly rowsPerSecond!: number;
  readonly remainingMs!: number | null;
  /** Why the last attempt to read the table failed; it is tried again while the others continue. */
  readonly error!: SourceErrorDto | null;
  /** Attempts that failed since rows of it were last read. */
  readonly attempts!: number;
  /** When the first of them failed, milliseconds since 1970. */
  readonly failingSinceMs!: number | null;
}

/** How many tables there are in each state. */
export class SnapshotCountsDto {
  readonly total!: number;
  readonly pending!: number;
  readonly running!: number;
  readonly done!: number;
  readonly unavailable!: number;
  /** Of the pending and running ones: those whose last read failed. */
  readonly failing!: number;
}

/** Something that has been waited for longer than usual. */
export class WaitDto {
  readonly what!: string;
  /** Milliseconds since 1970. */
  readonly sinceMs!: number;
}

/** Milliseconds from commit to confirmation, over the last 10 to 20 seconds. */
export class LatencyDto {
  readonly p50!: number;
  readonly p95!: number;
  readonly p99!: number;
  readonly max!: number;
  readonly count!: number;
}

/** A property that holds one of these for each sink of the source. */
function BySink(dto: Type): PropertyDecorator {
  return ApiProperty({ type: 'object', additionalProperties: { $ref: getSchemaPath(dto) } });
}

export class StreamedServerDto {
  /** `host:port` */
  readonly endpoint!: string;
  readonly serverUuid!: string;
}

export class RefusedServerDto extends SourceErrorDto {
  /** `host:port` */
  readonly endpoint!: string;
}

/** Transactions that were given to the sinks, are lost, and were given up. */
export class HealingDto {
  /** As a GTID set. */
  readonly gtids!: string;
  /** Tables of which the rows that may have been changed are read again. */
  @ApiProperty({ type: [String] })
  readonly rowsOf!: readonly string[];
  /** Tables that are read again as a whole. */
  @ApiProperty({ type: [String] })
  readonly whole!: readonly string[];
  /** Whether the source was resynced instead, since no sink can tell what was changed. */
  readonly isResync!: boolean;
}

export class SwitchDto {
  /** UUID of the server that the source was streamed from. */
  readonly from!: string;
  /** `host:port` */
  readonly to!: string;
  /** Null where the source moved by itself. */
  readonly askedBy!: string | null;
  /** Milliseconds since 1970. */
  readonly atMs!: number;
  /** From when the server before was lost until the source was opened on the other one; null for a switch that was asked for. */
  readonly tookMs!: number | null;
  /** Why it was not done; null when it was. */
  readonly error!: SourceErrorDto | null;
  /** Null where nothing had to be given up. */
  readonly healing!: HealingDto | null;
}

/** When the server may remove what was not read of its log. */
export class PurgeForecastDto {
  /** Milliseconds until that at the earliest; null while nothing that is needed can be removed. */
  readonly leftMs!: number | null;
  /** Bytes of the log that the checkpoint does not cover. */
  readonly behindBytes!: number;
  /** By which the log grows. */
  readonly bytesPerSecond!: number;
  /** How long the server keeps files; null where age removes none. */
  readonly keptForMs!: number | null;
  /** How many bytes of files it keeps; null where size removes none. */
  readonly keptBytes!: number | null;
}

@ApiExtraModels(SinkDto, LatencyDto)
export class SourceDto {
  readonly name!: string;
  /** waiting-for-lease, starting, streaming, draining, stopped, failed */
  readonly state!: string;
  readonly owner!: string | null;
  readonly token!: number | null;
  readonly lineage!: number | null;
  readonly checkpoint!: CheckpointDto | null;
  /** The server whose log is, or was last, streamed by this ownership; null before it is opened. */
  readonly server!: StreamedServerDto | null;
  /** While the stream is broken: why no other server has taken the place of its own yet. */
  readonly refusedServers!: RefusedServerDto[];
  /** Switches to another server since this process started. */
  readonly switches!: number;
  /** The last one that this process has done or tried. */
  readonly lastSwitch!: SwitchDto | null;
  readonly pipeline!: PipelineDto | null;
  /** By the name of the sink. */
  @BySink(SinkDto)
  readonly sinks!: Record<string, SinkDto>;
  /** By sink and table, at most a hundred of these. */
  readonly quarantine!: QuarantineDto[];
  /** At most a hundred tables: those that can't be read first, then those that are being read. */
  readonly snapshot!: TableSnapshotDto[];
  readonly snapshotTables!: SnapshotCountsDto;
  /** GTIDs that only one of the server that is read and the server that is streamed has; they changed nothing included. */
  readonly errantGtids!: string;
  /** What has been waited for longer than usual. Not an error, but the reason why something does not move. */
  readonly waits!: WaitDto[];
  /** How long the server keeps what was not read, as it was asked last; null where it is not known. */
  readonly logPurge!: PurgeForecastDto | null;
  readonly rowsPerSecond!: number;
  /** By the name of the sink. */
  @BySink(LatencyDto)
  readonly latencyMs!: Record<string, LatencyDto>;
  readonly lagMs!: number | null;
  readonly error!: SourceErrorDto | null;
}

export class SourceTablesDto {
  readonly tables!: TableSnapshotDto[];
  readonly total!: number;
}

export class SourcesDto {
  readonly sources!: SourceDto[];
}

export class LogAcceptedDto {
  /** Name of the source that continues at its next opening, which has begun. */
  readonly accepted!: string;
}

export class ResyncDto {
  /** The source that starts again from the beginning; its status says how far it is. */
  readonly resyncing!: string;
}

export class RewindDto {
  /** The source that is rewound; its status says how it goes. */
  readonly rewinding!: string;
}

export class SwitchOrderDto {
  /** One of the endpoints of the source, `host:port`. */
  readonly to!: string;
}

export class SwitchingDto {
  /** The source that moves; its status says how it went (`server`, `lastSwitch`). */
  readonly switching!: string;
  readonly to!: string;
}

export class LossOrderDto {
  /** The endpoint that the source is to continue with, `host:port`. */
  readonly server!: string;
  /** All that it lacks of what was given to the sinks, as a GTID set. */
  readonly gtids!: string;
}

export class LossAcceptedDto {
  /** The source that moves; its status says how it went (`server`, `lastSwitch`). */
  readonly switching!: string;
  readonly to!: string;
  /** What is given up. */
  readonly gtids!: string;
}

export class MoveOrderDto {
  /** An instance of DSS, as `GET /services` of DCS names it, or the part before its first `/` if that names one only; null: any. */
  readonly to!: string | null;
}

export class MovingDto {
  /** The source that is placed there; `GET /leases` of DCS says when it is. */
  readonly moving!: string;
  /** The full name of the instance; null where the source may run anywhere now. */
  readonly to!: string | null;
  /** The instance that owns it now; null where none does. */
  readonly from!: string | null;
}

export class RestartedDto {
  readonly restarted!: string;
}
