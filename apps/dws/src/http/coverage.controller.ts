import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { type DittoConfig } from '#configuration';
import { InjectConfig, SchemaPipe } from '#platform';
import { VerificationRunStore } from '#verification';
import { CoverageDto, type SourceCoverageDto } from './coverage.dto.ts';
import { chooseSources, type SourceQuery, sourceQuerySchema } from './source-query.ts';

@ApiTags('verifications')
@Controller('coverage')
export class CoverageController {
  readonly #config: DittoConfig;
  readonly #runs: VerificationRunStore;

  constructor(@InjectConfig() config: DittoConfig, runs: VerificationRunStore) {
    this.#config = config;
    this.#runs = runs;
  }

  @Get()
  @ApiOperation({ summary: 'How much of each table was compared within the last hour, day and week, by sink' })
  @ApiQuery({ name: 'source', required: false, description: 'Only this source' })
  async list(@Query(new SchemaPipe(sourceQuerySchema)) { source }: SourceQuery): Promise<CoverageDto> {
    const sources = chooseSources(this.#config, source).map((name) => this.#describe(name));
    return { sources: await Promise.all(sources) };
  }

  async #describe(source: string): Promise<SourceCoverageDto> {
    const tables = await this.#runs.listCoverage(source);
    const now = Date.now();
    return {
      source,
      tables: tables.map(({ oldestMs, ...table }) => ({
        ...table,
        oldestAgeMs: oldestMs === null ? null : Math.max(0, now - oldestMs),
      })),
    };
  }
}
