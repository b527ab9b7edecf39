import { ApiProperty } from '@nestjs/swagger';

/** Shares of the rows, 0 to 1, that were compared within the last hour, day and week. */
export class CoverageSharesDto {
  readonly hour!: number;
  readonly day!: number;
  readonly week!: number;
}

/** How much of a table was compared in a sink, whatever was found. */
export class TableCoverageDto {
  readonly database!: string;
  readonly table!: string;
  readonly sink!: string;
  /** As the last pass over the whole table has counted them; estimated before the first has ended. */
  readonly rows!: number;
  readonly shares!: CoverageSharesDto;
  /** No row waits longer for its next comparison; null when no pass over the whole table has ended yet. */
  @ApiProperty({ type: Number, nullable: true })
  readonly oldestAgeMs!: number | null;
}

/** How far rows are verified that changed recently, by all workers together, as they have reported themselves last. */
export class RecentCoverageDto {
  readonly sink!: string;
  /** Workers that take part. */
  readonly workers!: number;
  /** Changed rows that were compared since these workers began. */
  readonly verified!: number;
  /** Changed rows of which nothing was said: there were too many, or they could not be judged. */
  readonly leftOut!: number;
  /** Rows that are still to be compared. */
  readonly waiting!: number;
  /** How long one of them has waited since it could be compared. */
  readonly behindMs!: number;
  /** Why a worker can't go on at the moment; null while all can. */
  @ApiProperty({ type: String, nullable: true })
  readonly holdingBecause!: string | null;
}

export class SourceCoverageDto {
  readonly source!: string;
  readonly tables!: TableCoverageDto[];
  /** By sink; empty while no worker verifies recent changes, null while DCS does not answer. */
  @ApiProperty({ type: () => [RecentCoverageDto], nullable: true })
  readonly recent!: RecentCoverageDto[] | null;
}

export class CoverageDto {
  readonly sources!: SourceCoverageDto[];
}
