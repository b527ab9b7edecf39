import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiConflictResponse, ApiNotFoundResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { type DittoConfig } from '#configuration';
import { Actor, AuditLog, InjectConfig, RequestError, SchemaPipe } from '#platform';
import { type MismatchRecord, MismatchStore } from '#verification';
import { z } from 'zod';
import { IgnoreDto, MismatchDto, MismatchesDto } from './mismatch.dto.ts';
import { chooseSources } from './source-query.ts';

const name = z.string().min(1).optional();
const listSchema = z.strictObject({
  ...{ source: name, database: name, table: name, sink: name, run: name },
  kind: z.enum(['missing', 'extra', 'different', 'damaged', 'undecodable', 'gap']).optional(),
  state: z.enum(['open', 'repairing', 'repaired', 'given up', 'gone', 'ignored']).optional(),
  after: z
    .string()
    .regex(/^\d{1,19}$/)
    .optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});
type ListQuery = z.output<typeof listSchema>;

const ignoreSchema = z.strictObject({ reason: z.string().min(1).max(512) });
type Ignore = z.output<typeof ignoreSchema>;

@ApiTags('mismatches')
@Controller('mismatches')
export class MismatchesController {
  readonly #config: DittoConfig;
  readonly #store: MismatchStore;
  readonly #audit: AuditLog;

  constructor(@InjectConfig() config: DittoConfig, store: MismatchStore, audit: AuditLog) {
    this.#config = config;
    this.#store = store;
    this.#audit = audit;
  }

  @Get()
  @ApiOperation({ summary: 'Rows that differ, or differed, in a sink; in pages, oldest first' })
  @ApiQuery({ name: 'source', required: false })
  @ApiQuery({ name: 'database', required: false })
  @ApiQuery({ name: 'table', required: false })
  @ApiQuery({ name: 'sink', required: false })
  @ApiQuery({ name: 'run', required: false, description: 'Only those that this run found last' })
  @ApiQuery({ name: 'kind', required: false, enum: ['missing', 'extra', 'different', 'damaged', 'undecodable', 'gap'] })
  @ApiQuery({ name: 'state', required: false, enum: ['open', 'repairing', 'repaired', 'given up', 'gone', 'ignored'] })
  @ApiQuery({ name: 'after', required: false, description: '`next` of the page before' })
  @ApiQuery({ name: 'limit', required: false, type: Number, description: '100 by default, at most 1000' })
  async list(@Query(new SchemaPipe(listSchema)) query: ListQuery): Promise<MismatchesDto> {
    const { run, state, after = null, limit, ...rest } = query;
    chooseSources(this.#config, query.source);
    const given = Object.entries({ ...rest, runId: run, states: state && [state] });
    const filter = Object.fromEntries(given.filter(([, value]) => value !== undefined));
    const mismatches = await this.#store.list(filter, { after, limit });
    return {
      mismatches: mismatches.map(toDto),
      next: mismatches.length < limit ? null : (mismatches.at(-1)?.id ?? null),
    };
  }

  @Get(':id')
  @ApiOperation({ summary: 'One of them' })
  @ApiNotFoundResponse({ description: 'There is no such mismatch: DITTO_MISMATCH_UNKNOWN' })
  async find(@Param('id') id: string): Promise<MismatchDto> {
    return toDto(await this.#find(id));
  }

  @Post(':id/ignore')
  @HttpCode(200)
  @ApiOperation({ summary: 'Say that it may stay; it counts again once it was found equal in between' })
  @ApiBody({ type: IgnoreDto })
  @ApiConflictResponse({ description: 'It is not open' })
  @ApiNotFoundResponse({ description: 'There is no such mismatch: DITTO_MISMATCH_UNKNOWN' })
  async ignore(
    @Param('id') id: string,
    @Body(new SchemaPipe(ignoreSchema)) { reason }: Ignore,
    @Actor() actor: string,
  ): Promise<MismatchDto> {
    const { source, database, table, sink, key } = await this.#find(id);
    const details = { id, database, table, sink, key, reason };
    await this.#audit.record({ actor, action: 'mismatch.ignore', subject: source, details });
    const isChanged = await this.#store.changeState(id, ['open', 'given up'], { to: 'ignored', reason, actor });
    const mismatch = await this.#find(id);
    if (!isChanged)
      throw new RequestError(409, 'DITTO_VERIFICATION_STATE', `the mismatch ${id} is ${mismatch.state}`, {
        remedy: 'Only an open one can be ignored.',
      });
    return toDto(mismatch);
  }

  async #find(id: string): Promise<MismatchRecord> {
    const mismatch = await this.#store.find(id);
    if (mismatch !== null) return mismatch;
    throw new RequestError(404, 'DITTO_MISMATCH_UNKNOWN', `there is no mismatch ${id.slice(0, 36)}`, {
      remedy: 'GET /mismatches lists them.',
    });
  }
}

function toDto(record: MismatchRecord): MismatchDto {
  const { details } = record;
  return { ...record, details: { ...details, differences: [...details.differences], change: details.change ?? null } };
}
