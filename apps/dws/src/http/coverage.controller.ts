import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { type DittoConfig } from '#configuration';
import { DcsClient, type ServiceStatus } from '#dcs-client';
import { InjectConfig, SchemaPipe } from '#platform';
import { VerificationRunStore } from '#verification';
import { sumRecent } from '../recent/recent-board.ts';
import { CoverageDto, type SourceCoverageDto } from './coverage.dto.ts';
import { chooseSources, type SourceQuery, sourceQuerySchema } from './source-query.ts';

@ApiTags('verifications')
@Controller('coverage')
export class CoverageController {
  readonly #config: DittoConfig;
  readonly #runs: VerificationRunStore;
  readonly #dcs: DcsClient;

  constructor(@InjectConfig() config: DittoConfig, runs: VerificationRunStore, dcs: DcsClient) {
    this.#config = config;
    this.#runs = runs;
    this.#dcs = dcs;
  }

  @Get()
  @ApiOperation({ summary: 'How much of each table was compared within the last hour, day and week, by sink' })
  @ApiQuery({ name: 'source', required: false, description: 'Only this source' })
  async list(@Query(new SchemaPipe(sourceQuerySchema)) { source }: SourceQuery): Promise<CoverageDto> {
    // the rest is known without DCS
    const services = await this.#dcs.listServices().catch(() => null);
    const sources = chooseSources(this.#config, source).map((name) => this.#describe(name, services));
    return { sources: await Promise.all(sources) };
  }

  async #describe(source: string, services: readonly ServiceStatus[] | null): Promise<SourceCoverageDto> {
    const tables = await this.#runs.listCoverage(source);
    const now = Date.now();
    return {
      source,
      tables: tables.map(({ oldestMs, ...table }) => ({
        ...table,
        oldestAgeMs: oldestMs === null ? null : Math.max(0, now - oldestMs),
      })),
      recent: services && sumRecent(services, source),
    };
  }
}
