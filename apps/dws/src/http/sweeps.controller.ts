import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { type DittoConfig } from '#configuration';
import { InjectConfig, SchemaPipe } from '#platform';
import { type EndedSweep, SweepJobs } from '../sweeps/sweep-jobs.ts';
import { chooseSources, type SourceQuery, sourceQuerySchema } from './source-query.ts';
import { type SweepDto, SweepsDto } from './sweep.dto.ts';

@ApiTags('sweeps')
@Controller('sweeps')
export class SweepsController {
  readonly #jobs: SweepJobs;
  readonly #config: DittoConfig;

  constructor(jobs: SweepJobs, @InjectConfig() config: DittoConfig) {
    this.#jobs = jobs;
    this.#config = config;
  }

  @Get()
  @ApiOperation({ summary: 'The last sweeps of old tombstones, by all workers' })
  @ApiQuery({ name: 'source', required: false, description: 'Only this source' })
  async list(@Query(new SchemaPipe(sourceQuerySchema)) { source }: SourceQuery): Promise<SweepsDto> {
    const chosen = chooseSources(this.#config, source);
    const ended = await this.#jobs.listEnded();
    return { sweeps: ended.filter(({ data }) => chosen.includes(data.source)).map(describeSweep) };
  }
}

function describeSweep({ data, startedAtMs, endedAtMs, result, error }: EndedSweep): SweepDto {
  return {
    source: data.source,
    state: error === null ? 'done' : 'failed',
    startedAtMs,
    endedAtMs,
    removed: result?.removed ?? null,
    collections: result?.collections ?? null,
    belowVersion: result?.belowVersion ?? null,
    error,
  };
}
