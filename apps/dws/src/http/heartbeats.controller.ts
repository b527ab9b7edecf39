import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { type DittoConfig, formatEndpoint } from '#configuration';
import { InjectConfig, SchemaPipe } from '#platform';
import { HeartbeatBoard } from '../probes/heartbeat-board.ts';
import { HeartbeatsDto, type SourceHeartbeatsDto, type UnreachableEndpointDto } from './heartbeat.dto.ts';
import { chooseSources, type SourceQuery, sourceQuerySchema } from './source-query.ts';

@ApiTags('heartbeats')
@Controller('heartbeats')
export class HeartbeatsController {
  readonly #board: HeartbeatBoard;
  readonly #config: DittoConfig;

  constructor(board: HeartbeatBoard, @InjectConfig() config: DittoConfig) {
    this.#board = board;
    this.#config = config;
  }

  @Get()
  @ApiOperation({ summary: 'How the endpoints of each source do, by the newest probe of any worker' })
  @ApiQuery({ name: 'source', required: false, description: 'Only this source' })
  async list(@Query(new SchemaPipe(sourceQuerySchema)) { source }: SourceQuery): Promise<HeartbeatsDto> {
    const sources = await Promise.all(chooseSources(this.#config, source).map((name) => this.#describe(name)));
    return { sources, unreachable: sources.flatMap(listUnreachable) };
  }

  async #describe(source: string): Promise<SourceHeartbeatsDto> {
    const { heartbeats, incompleteBecause } = await this.#board.list(source);
    const configured = (this.#config.sources[source]?.endpoints ?? []).map(formatEndpoint);
    const endpoints = heartbeats.filter(({ endpoint }) => configured.includes(endpoint));
    const unprobed = configured.filter((endpoint) => !endpoints.some((found) => found.endpoint === endpoint));
    return { source, endpoints, unprobed, incompleteBecause };
  }
}

function listUnreachable({ source, endpoints }: SourceHeartbeatsDto): UnreachableEndpointDto[] {
  return endpoints
    .filter(({ reachable }) => !reachable)
    .map(({ endpoint, unreachableSinceMs, probedAtMs, error }) => ({
      source,
      endpoint,
      sinceMs: unreachableSinceMs ?? probedAtMs,
      error: error ?? '',
    }));
}
