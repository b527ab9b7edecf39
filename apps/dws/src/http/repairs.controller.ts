import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiConflictResponse, ApiNotFoundResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { formatTableName } from '#change-events';
import { type DittoConfig } from '#configuration';
import { Actor, assertKnownSource, InjectConfig, RequestError, SchemaPipe } from '#platform';
import { type RepairRecord } from '#verification';
import { SourceRepairs } from '../repairs/source-repairs.ts';
import { RepairBegunDto, RepairBreakersDto, RepairDto, RepairsDto, ResumedDto, ResumeOrderDto } from './repair.dto.ts';
import { type RepairQuery, repairQuerySchema, type ResumeOrder, resumeSchema } from './repair-query.ts';

@ApiTags('repairs')
@Controller()
export class RepairsController {
  readonly #repairs: SourceRepairs;
  readonly #config: DittoConfig;

  constructor(repairs: SourceRepairs, @InjectConfig() config: DittoConfig) {
    this.#repairs = repairs;
    this.#config = config;
  }

  @Get('repairs')
  @ApiOperation({ summary: 'Repairs, oldest first, in pages' })
  @ApiQuery({ name: 'source', required: false })
  @ApiQuery({ name: 'table', required: false, description: '`database.table`' })
  @ApiQuery({ name: 'sink', required: false })
  @ApiQuery({ name: 'state', required: false, description: 'planned, reading, verifying, failed, repaired, given up' })
  @ApiQuery({ name: 'mismatch', required: false, description: 'Only those of this mismatch' })
  @ApiQuery({ name: 'after', required: false, description: '`next` of the page before' })
  @ApiQuery({ name: 'limit', required: false, type: Number, description: 'Most repairs; 100 by default, at most 1000' })
  async list(@Query(new SchemaPipe(repairQuerySchema)) query: RepairQuery): Promise<RepairsDto> {
    const { source, table, sink, state, mismatch, after, limit } = query;
    if (source !== undefined) assertKnownSource(this.#config, source);
    const filter = {
      ...(source !== undefined && { source }),
      ...table,
      ...(sink !== undefined && { sink }),
      ...(state !== undefined && { states: [state] }),
      ...(mismatch !== undefined && { mismatchId: mismatch }),
    };
    const repairs = await this.#repairs.repairs.list(filter, { after: after ?? null, limit });
    return { repairs: repairs.map(toDto), next: repairs.length < limit ? null : (repairs.at(-1)?.id ?? null) };
  }

  @Get('repairs/stopped')
  @ApiOperation({ summary: 'Tables in which too much was found to differ: their repairs stop until they are resumed' })
  async listStopped(): Promise<RepairBreakersDto> {
    const breakers = await this.#repairs.repairs.listBreakers();
    return {
      breakers: breakers
        .filter(({ openedAtMs }) => openedAtMs !== null)
        .map(({ database, table, ...breaker }) => ({ ...breaker, table: formatTableName({ database, table }) })),
    };
  }

  @Post('repairs/resume')
  @HttpCode(200)
  @ApiOperation({ summary: 'Let repairs of a table begin again by themselves' })
  @ApiBody({ type: ResumeOrderDto })
  @ApiConflictResponse({ description: 'They were not stopped' })
  async resume(
    @Body(new SchemaPipe(resumeSchema)) { source, table }: ResumeOrder,
    @Actor() actor: string,
  ): Promise<ResumedDto> {
    assertKnownSource(this.#config, source);
    const name = formatTableName(table);
    if (!(await this.#repairs.resume(source, table, actor)))
      throw new RequestError(409, 'DITTO_REPAIRS_NOT_STOPPED', `repairs of ${name} of ${source} are not stopped`, {
        remedy: 'GET /repairs/stopped lists the tables whose repairs are.',
      });
    return { resumed: name };
  }

  @Get('repairs/:id')
  @ApiOperation({ summary: 'One repair' })
  @ApiNotFoundResponse({ description: 'There is no such repair' })
  async find(@Param('id') id: string): Promise<RepairDto> {
    const repair = await this.#repairs.repairs.find(id);
    if (repair !== null) return toDto(repair);
    throw new RequestError(404, 'DITTO_REPAIR_UNKNOWN', `there is no repair ${id.slice(0, 36)}`, {
      remedy: 'GET /repairs lists them.',
    });
  }

  @Post('mismatches/:id/repair')
  @HttpCode(202)
  @ApiOperation({ summary: 'Repair one mismatch, whatever the policy says; also one that was ignored or given up' })
  @ApiNotFoundResponse({ description: 'There is no such mismatch' })
  @ApiConflictResponse({ description: 'It has ended: the row was found equal; or it is a lost message' })
  async repair(@Param('id') id: string, @Actor() actor: string): Promise<RepairBegunDto> {
    const mismatch = await this.#repairs.mismatches.find(id);
    if (mismatch === null || this.#config.sources[mismatch.source] === undefined)
      throw new RequestError(404, 'DITTO_MISMATCH_UNKNOWN', `there is no mismatch ${id.slice(0, 36)}`, {
        remedy: 'GET /mismatches lists them.',
      });
    if (mismatch.kind === 'gap')
      throw new RequestError(409, 'DITTO_MISMATCH_LASTS', `the mismatch ${id} is a message that was lost`, {
        remedy: 'A message can not be put back in its place: POST /mismatches/:id/ignore once its readers know.',
      });
    const isOpen = mismatch.state !== 'repaired' && mismatch.state !== 'gone';
    if (!isOpen || !(await this.#repairs.repairOne(mismatch, actor)))
      throw new RequestError(409, 'DITTO_MISMATCH_ENDED', `the mismatch ${id} is ${mismatch.state}`, {
        remedy: 'The row was found equal since: there is nothing to repair.',
      });
    return { mismatch: id };
  }
}

function toDto(repair: RepairRecord): RepairDto {
  const { id, mismatchId, source, sink, key, kind, state, attempts, readId, before, after, actor, reason } = repair;
  const { plannedAtMs, nextAtMs, endedAtMs } = repair;
  return {
    ...{ id, mismatchId, source, table: formatTableName(repair), sink, key, kind, state, attempts, readId },
    before: { ...before, differences: [...before.differences] },
    ...{ after, actor, reason, plannedAtMs, nextAtMs, endedAtMs },
  };
}
