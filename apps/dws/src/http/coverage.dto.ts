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

export class SourceCoverageDto {
  readonly source!: string;
  readonly tables!: TableCoverageDto[];
}

export class CoverageDto {
  readonly sources!: SourceCoverageDto[];
}
