import { Controller, Get, Param } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { type StoredCheckpoint } from '#change-events';
import { createUnknownSourceError, OffsetBook } from '../offsets/offset-book.ts';
import { OffsetDto, OffsetsDto } from './offset.dto.ts';

@ApiTags('offsets')
@Controller('offsets')
export class OffsetsController {
  readonly #offsets: OffsetBook;

  constructor(offsets: OffsetBook) {
    this.#offsets = offsets;
  }

  @Get()
  @ApiOperation({ summary: 'Where each source is' })
  async list(): Promise<OffsetsDto> {
    return { offsets: (await this.#offsets.list()).map(toOffsetDto) };
  }

  @Get(':source')
  @ApiOperation({ summary: 'Where a source is' })
  async find(@Param('source') source: string): Promise<OffsetDto> {
    const offset = await this.#offsets.get(source);
    if (!offset) throw createUnknownSourceError(source);
    return toOffsetDto(offset);
  }
}

function toOffsetDto({ token, checkpoint }: StoredCheckpoint): OffsetDto {
  const { source, lineage, position, dispatchedSet, undecidedSet, version, commitMicros, savedAtMs } = checkpoint;
  const committedAt = commitMicros === 0 ? null : formatMicros(commitMicros);
  return {
    source,
    token,
    lineage,
    position,
    dispatchedSet,
    undecidedSet,
    version,
    committedAt,
    savedAt: new Date(savedAtMs).toISOString(),
  };
}

function formatMicros(micros: number): string {
  const seconds = new Date(Math.floor(micros / 1_000_000) * 1_000).toISOString().slice(0, 19);
  return `${seconds}.${String(micros % 1_000_000).padStart(6, '0')}Z`;
}
