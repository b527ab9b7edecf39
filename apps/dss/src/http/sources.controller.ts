import { Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Actor, AuditLog, RequestError } from '#platform';
import { type SourceSupervisor } from '../sources/source-supervisor.ts';
import { SourceRegistry } from '../sources/source-registry.ts';
import { RestartedDto, SourceDto, SourcesDto } from './source.dto.ts';

@ApiTags('sources')
@Controller('sources')
export class SourcesController {
  readonly #sources: SourceRegistry;
  readonly #audit: AuditLog;

  constructor(sources: SourceRegistry, audit: AuditLog) {
    this.#sources = sources;
    this.#audit = audit;
  }

  @Get()
  @ApiOperation({ summary: 'All sources, as this instance sees them' })
  list(): SourcesDto {
    return { sources: this.#sources.status().map(toDto) };
  }

  @Get(':source')
  @ApiOperation({ summary: 'One source' })
  find(@Param('source') source: string): SourceDto {
    return toDto(this.#supervisor(source).status());
  }

  @Post(':source/restart')
  @HttpCode(200)
  @ApiOperation({ summary: 'Try a source again that has stopped and waits for an operator' })
  async restart(@Param('source') source: string, @Actor() actor: string): Promise<RestartedDto> {
    const supervisor = this.#supervisor(source);
    const { state, error } = supervisor.status();
    if (state !== 'failed')
      throw new RequestError(
        409,
        'DITTO_SOURCE_NOT_STOPPED',
        `${source} does not wait for an operator: it is ${state}`,
        {
          remedy: 'Ask the instance that owns the source; GET /leases of DCS names it.',
        },
      );
    await this.#audit.record({ actor, action: 'source.restart', subject: source, details: { after: error } });
    supervisor.restart();
    return { restarted: source };
  }

  #supervisor(source: string): SourceSupervisor {
    const supervisor = this.#sources.find(source);
    if (supervisor === undefined)
      throw new RequestError(404, 'DITTO_SOURCE_UNKNOWN', `there is no source ${source} in the configuration`);
    return supervisor;
  }
}

/** The statuses are plain data; the DTO classes are their description. */
function toDto(status: ReturnType<SourceSupervisor['status']>): SourceDto {
  return { ...status, snapshot: [...status.snapshot] };
}
