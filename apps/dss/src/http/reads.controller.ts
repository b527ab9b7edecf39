import { randomUUID } from 'node:crypto';
import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Post, Query } from '@nestjs/common';
import {
  ApiBody,
  ApiConflictResponse,
  ApiHeader,
  ApiNotFoundResponse,
  ApiOperation,
  ApiQuery,
  ApiTags,
  ApiUnprocessableEntityResponse,
} from '@nestjs/swagger';
import { formatTableName, readRowScope, type TableName } from '#change-events';
import { type DittoConfig, type SourceConfig } from '#configuration';
import { toDittoError } from '#kernel';
import { Actor, assertKnownSource, AuditLog, InjectConfig, RequestError, SchemaPipe } from '#platform';
import { type ListedRead, type ReadScope, type RequestedRead, type RequestedReadStore } from '#replication';
import { SourceStores } from '../connections/source-stores.ts';
import { assertReadable } from '../sources/accept-read.ts';
import { SourceRegistry } from '../sources/source-registry.ts';
import { type ReadOrder } from '../sources/source-supervisor.ts';
import { ReadDto, ReadOrderDto, ReadsDto } from './read.dto.ts';
import {
  idempotencyKeySchema,
  type ReadListQuery,
  readListSchema,
  type ReadOrderBody,
  readOrderSchema,
} from './read-order.ts';

/** Of a read of all tables. */
const NO_TABLE = { database: '', table: '' };

/** Rows that are to be read again: any instance accepts and shows them, the owner of the source executes them. */
@ApiTags('reads')
@Controller('sources/:source/reads')
export class ReadsController {
  readonly #sources: SourceRegistry;
  readonly #reads: RequestedReadStore;
  readonly #audit: AuditLog;
  readonly #config: DittoConfig;

  constructor(sources: SourceRegistry, { reads }: SourceStores, audit: AuditLog, @InjectConfig() config: DittoConfig) {
    this.#sources = sources;
    this.#reads = reads;
    this.#audit = audit;
    this.#config = config;
  }

  @Post()
  @HttpCode(202)
  @ApiOperation({
    summary: 'Read all tables, a table, or rows of it by their keys, a range of keys or a filter, again',
  })
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'The id of the read, in place of `id`' })
  @ApiBody({ type: ReadOrderDto })
  @ApiConflictResponse({ description: 'The id was used before, for other rows' })
  @ApiUnprocessableEntityResponse({ description: 'The table is not included, or too much is asked for at once' })
  async accept(
    @Param('source') source: string,
    @Body(new SchemaPipe(readOrderSchema)) body: ReadOrderBody,
    @Headers('idempotency-key') header: string | undefined,
    @Actor() actor: string,
  ): Promise<ReadDto> {
    const config = this.#find(source);
    const { table = NO_TABLE, reason } = body;
    const scope: ReadScope = readRowScope(body) ?? { kind: table === NO_TABLE ? 'source' : 'table' };
    const order = { id: chooseId(header, body.id), ...table, scope, reason, actor };
    const { id } = order;
    await asRequestError(async () => {
      assertReadable(config, order);
      if ((await this.#reads.find(id)) === null) await this.#record('source.read', order, source);
      await this.#sources.find(source)?.requestRead(order);
    });
    return toWholeDto(await this.#require(source, id));
  }

  @Get()
  @ApiOperation({ summary: 'The reads that were asked for, newest first, in pages' })
  @ApiQuery({ name: 'state', required: false, enum: ['open', 'all'], description: 'open: only those not ended' })
  @ApiQuery({ name: 'after', required: false, description: '`next` of the page before' })
  @ApiQuery({ name: 'limit', required: false, type: Number, description: 'Most reads; 100 by default, at most 1000' })
  async list(
    @Param('source') source: string,
    @Query(new SchemaPipe(readListSchema)) { state, after, limit }: ReadListQuery,
  ): Promise<ReadsDto> {
    this.#find(source);
    if (after !== undefined) await this.#require(source, after);
    const listing = { onlyOpen: state === 'open', before: after ?? null, limit };
    const reads = await this.#reads.list(source, listing);
    return { reads: reads.map(toDto), next: reads.length < limit ? null : (reads.at(-1)?.id ?? null) };
  }

  @Get(':id')
  @ApiOperation({ summary: 'One read' })
  @ApiNotFoundResponse({ description: 'There is no such read of this source' })
  async find(@Param('source') source: string, @Param('id') id: string): Promise<ReadDto> {
    this.#find(source);
    return toWholeDto(await this.#require(source, id));
  }

  @Delete(':id')
  @ApiOperation({
    summary:
      'Cancel a read: of some rows, the rest is not read; the reading of whole tables continues. What was read stays',
  })
  @ApiConflictResponse({ description: 'It has ended already' })
  @ApiNotFoundResponse({ description: 'There is no such read of this source' })
  async cancel(@Param('source') source: string, @Param('id') id: string, @Actor() actor: string): Promise<ReadDto> {
    this.#find(source);
    const read = await this.#require(source, id);
    if (read.endedAtMs !== null) throw hasEnded(read);
    await this.#record('source.read.cancel', { ...read, actor }, source);
    const wasOpen = await this.#reads.cancel(id);
    const now = await this.#require(source, id);
    if (!wasOpen && now.state !== 'cancelled') throw hasEnded(now);
    return toWholeDto(now);
  }

  #find(source: string): SourceConfig {
    assertKnownSource(this.#config, source);
    const found = this.#config.sources[source];
    if (found === undefined) throw new Error(`the source ${source} is not configured`);
    return found;
  }

  async #require(source: string, id: string): Promise<RequestedRead> {
    const read = await this.#reads.find(id);
    if (read?.source === source) return read;
    throw new RequestError(404, 'DITTO_READ_UNKNOWN', `no read ${id.slice(0, 36)} of ${source} was asked for`, {
      remedy: `GET /sources/${source}/reads lists those that were.`,
    });
  }

  #record(action: string, { id, scope, reason, actor, ...table }: ReadOrder, source: string): Promise<void> {
    const keys = scope.kind === 'keys' ? scope.keys.length : null;
    const rows = scope.kind === 'range' || scope.kind === 'filter' ? { scope } : {};
    const details = { id, table: describeTable(scope.kind, table), kind: scope.kind, keys, ...rows, reason };
    return this.#audit.record({ actor, action, subject: source, details });
  }
}

function chooseId(header: string | undefined, given: string | undefined): string {
  const key = header === undefined ? undefined : new SchemaPipe(idempotencyKeySchema).transform(header);
  if (key !== undefined && given !== undefined && key !== given)
    throw new RequestError(400, 'DITTO_REQUEST_INVALID', `id is ${given}, the header Idempotency-Key is ${key}`, {
      remedy: 'Give one of them, or the same in both.',
    });
  return key ?? given ?? randomUUID();
}

const STATUS_BY_CODE = { DITTO_READ_REFUSED: 422, DITTO_READ_ID_TAKEN: 409 } as const;

async function asRequestError(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (cause) {
    const { code, message, remedy, context } = toDittoError(cause);
    const status = STATUS_BY_CODE[code as keyof typeof STATUS_BY_CODE] as 422 | 409 | undefined;
    if (status === undefined) throw cause;
    throw new RequestError(status, code, message, { ...(remedy !== null && { remedy }), context, cause });
  }
}

function hasEnded({ id, state }: Pick<RequestedRead, 'id' | 'state'>): RequestError {
  return new RequestError(409, 'DITTO_READ_ENDED', `the read ${id} is ${state}`, {
    remedy: 'Nothing is left to cancel. Ask for another read where rows are to be read again.',
  });
}

function describeTable(kind: ReadScope['kind'], table: TableName): string | null {
  return kind === 'source' ? null : formatTableName(table);
}

function toWholeDto({ scope, ...read }: RequestedRead): ReadDto {
  return Object.assign(
    toDto({ ...read, kind: scope.kind }),
    scope.kind === 'range' && { range: { from: scope.from, to: scope.to } },
    scope.kind === 'filter' && { where: [...scope.where] },
  );
}

function toDto({ database, table, kind, place, ...read }: ListedRead): ReadDto {
  const { id, source, keyCount, confirmedKeys, estimatedRows, state, counts, error, reason, actor } = read;
  const { acceptedAtMs, startedAtMs, endedAtMs } = read;
  return {
    ...{ id, source, table: describeTable(kind, { database, table }), kind, keyCount, confirmedKeys },
    ...{ phase: place?.phase ?? null, estimatedRows, state, counts, error, reason, actor },
    ...{ acceptedAtMs, startedAtMs, endedAtMs },
  };
}
