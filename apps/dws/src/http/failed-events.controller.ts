import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiConflictResponse, ApiNotFoundResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { formatTableName, parseTableName } from '#change-events';
import { type DittoConfig } from '#configuration';
import { Actor, assertKnownSource, AuditLog, InjectConfig, RequestError, SchemaPipe } from '#platform';
import { type FailedEvent, FailedEventStore, type ListedFailedEvent } from '#replication';
import { z } from 'zod';
import { FailedEventRetries } from '../failed-events/failed-event-retries.ts';
import {
  DiscardDto,
  FailedEventDto,
  FailedEventsDto,
  RetriedDto,
  RetryOrderDto,
  WholeFailedEventDto,
} from './failed-event.dto.ts';

const STATES = ['open', 'discarded', 'delivered', 'ended'] as const;
const MOST_RETRIES = 10_000;
const PAGE = 1000;

const name = z.string().min(1).max(128).optional();
const id = z.string().regex(/^\d{1,19}$/, 'must be a number');
const tableSchema = z.string().transform((text, context) => {
  const parsed = parseTableName(text);
  if (parsed !== null) return parsed;
  context.addIssue({ code: 'custom', message: 'must be `database.table`' });
  return z.NEVER;
});
const listSchema = z.strictObject({
  ...{ source: name, table: tableSchema.optional(), sink: name, code: name, key: z.string().min(1).optional() },
  state: z.enum(STATES).optional(),
  after: id.optional(),
  limit: z.coerce.number().int().min(1).max(PAGE).default(100),
});
type ListQuery = z.output<typeof listSchema>;

const retrySchema = z
  .strictObject({
    ids: z.array(id).min(1).max(PAGE).optional(),
    ...{ source: name, table: tableSchema.optional(), sink: name },
  })
  .refine(({ ids, source, table, sink }) => (ids === undefined) !== ((source ?? table ?? sink) === undefined), {
    message: 'give `ids`, or some of `source`, `table` and `sink`',
  });
type RetryOrder = z.output<typeof retrySchema>;

const discardSchema = z.strictObject({ reason: z.string().min(1).max(512) });
type Discard = z.output<typeof discardSchema>;

@ApiTags('failed events')
@Controller('failed-events')
export class FailedEventsController {
  readonly #config: DittoConfig;
  readonly #events: FailedEventStore;
  readonly #retries: FailedEventRetries;
  readonly #audit: AuditLog;

  constructor(
    @InjectConfig() config: DittoConfig,
    events: FailedEventStore,
    retries: FailedEventRetries,
    audit: AuditLog,
  ) {
    this.#config = config;
    this.#events = events;
    this.#retries = retries;
    this.#audit = audit;
  }

  @Get()
  @ApiOperation({ summary: 'Rows that a sink lacks, or lacked, since it refused them; in pages, oldest first' })
  @ApiQuery({ name: 'source', required: false })
  @ApiQuery({ name: 'table', required: false, description: '`database.table`' })
  @ApiQuery({ name: 'sink', required: false })
  @ApiQuery({ name: 'code', required: false, description: 'Of the last refusal' })
  @ApiQuery({ name: 'key', required: false, description: 'JSON array of the values of the key' })
  @ApiQuery({ name: 'state', required: false, enum: STATES })
  @ApiQuery({ name: 'after', required: false, description: '`next` of the page before' })
  @ApiQuery({ name: 'limit', required: false, type: Number, description: '100 by default, at most 1000' })
  async list(@Query(new SchemaPipe(listSchema)) query: ListQuery): Promise<FailedEventsDto> {
    const { state, table, after = null, limit, ...rest } = query;
    if (query.source !== undefined) assertKnownSource(this.#config, query.source);
    const given = Object.entries({ ...rest, ...table, states: state && [state] });
    const filter = Object.fromEntries(given.filter(([, value]) => value !== undefined));
    const events = await this.#events.list(filter, { after, limit });
    return { failedEvents: events.map(toDto), next: events.length < limit ? null : (events.at(-1)?.id ?? null) };
  }

  @Get(':id')
  @ApiOperation({ summary: 'One failed event, with the beginning of what was refused' })
  @ApiNotFoundResponse({ description: 'There is no such failed event: DITTO_FAILED_EVENT_UNKNOWN' })
  async find(@Param('id') asked: string): Promise<WholeFailedEventDto> {
    return toWholeDto(await this.#find(asked));
  }

  @Post('retry')
  @HttpCode(202)
  @ApiOperation({ summary: 'Read the rows of failed events again now, and try them: some, or all open ones that fit' })
  @ApiBody({ type: RetryOrderDto })
  @ApiNotFoundResponse({ description: 'One of the ids is not known: DITTO_FAILED_EVENT_UNKNOWN' })
  @ApiConflictResponse({ description: 'One of the ids has left the quarantine: DITTO_FAILED_EVENT_ENDED' })
  async retrySome(@Body(new SchemaPipe(retrySchema)) order: RetryOrder, @Actor() actor: string): Promise<RetriedDto> {
    return this.#retry(order.ids === undefined ? await this.#listOpen(order) : await this.#findAll(order.ids), actor);
  }

  @Post(':id/retry')
  @HttpCode(202)
  @ApiOperation({ summary: 'Read the row of one failed event again now, and try it; also one that was discarded' })
  @ApiNotFoundResponse({ description: 'There is no such failed event: DITTO_FAILED_EVENT_UNKNOWN' })
  @ApiConflictResponse({ description: 'It has left the quarantine: DITTO_FAILED_EVENT_ENDED' })
  async retry(@Param('id') asked: string, @Actor() actor: string): Promise<RetriedDto> {
    return this.#retry(await this.#findAll([asked]), actor);
  }

  @Post(':id/discard')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Accept that the sink lacks the row as it is: it is not tried any more, and its next change is delivered',
  })
  @ApiBody({ type: DiscardDto })
  @ApiNotFoundResponse({ description: 'There is no such failed event: DITTO_FAILED_EVENT_UNKNOWN' })
  @ApiConflictResponse({ description: 'It is not open: DITTO_FAILED_EVENT_ENDED' })
  async discard(
    @Param('id') asked: string,
    @Body(new SchemaPipe(discardSchema)) { reason }: Discard,
    @Actor() actor: string,
  ): Promise<WholeFailedEventDto> {
    const event = await this.#find(asked);
    if (event.state !== 'open') throw hasEnded(event);
    const { source, sink, key } = event;
    const details = { id: event.id, sink, table: formatTableName(event), key, reason };
    await this.#audit.record({ actor, action: 'failed-event.discard', subject: source, details });
    const isDiscarded = await this.#events.discard(event.id, reason, actor);
    const now = await this.#find(asked);
    if (!isDiscarded) throw hasEnded(now);
    return toWholeDto(now);
  }

  async #retry(events: readonly ListedFailedEvent[], actor: string): Promise<RetriedDto> {
    for (const [source, ids] of groupIds(events))
      await this.#audit.record({
        ...{ actor, action: 'failed-event.retry', subject: source },
        details: { rows: ids.length, ids: ids.slice(0, 100) },
      });
    return { retried: events.length, reads: [...(await this.#retries.retry(events, actor))] };
  }

  async #listOpen({ source, table, sink }: RetryOrder): Promise<readonly ListedFailedEvent[]> {
    if (source !== undefined) assertKnownSource(this.#config, source);
    const given = Object.entries({ source, ...table, sink }).filter(([, value]) => value !== undefined);
    const filter = { ...Object.fromEntries(given), states: ['open'] as const };
    const found: ListedFailedEvent[] = [];
    while (found.length < MOST_RETRIES) {
      const page = await this.#events.list(filter, { after: found.at(-1)?.id ?? null, limit: PAGE });
      found.push(...page);
      if (page.length < PAGE) break;
    }
    return found;
  }

  async #findAll(ids: readonly string[]): Promise<readonly ListedFailedEvent[]> {
    const events: FailedEvent[] = [];
    for (const one of new Set(ids)) {
      const event = await this.#find(one);
      if (event.state !== 'open' && event.state !== 'discarded') throw hasEnded(event);
      events.push(event);
    }
    return events;
  }

  async #find(asked: string): Promise<FailedEvent> {
    const event = await this.#events.find(asked);
    if (event !== null && this.#config.sources[event.source] !== undefined) return event;
    throw new RequestError(404, 'DITTO_FAILED_EVENT_UNKNOWN', `there is no failed event ${asked.slice(0, 36)}`, {
      remedy: 'GET /failed-events lists them.',
    });
  }
}

function groupIds(events: readonly ListedFailedEvent[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>();
  for (const event of events) groups.set(event.source, [...(groups.get(event.source) ?? []), event.id]);
  return groups;
}

function hasEnded(event: ListedFailedEvent): RequestError {
  return new RequestError(409, 'DITTO_FAILED_EVENT_ENDED', `the failed event ${event.id} is ${event.state}`, {
    remedy: 'Nothing of it is tried again. A row that is refused again has a failed event of its own.',
  });
}

function toDto({ database, table, ...event }: ListedFailedEvent): FailedEventDto {
  return { ...event, table: formatTableName({ database, table }) };
}

function toWholeDto({ payload, ...event }: FailedEvent): WholeFailedEventDto {
  const isCut = payload !== null && Buffer.byteLength(payload.text) < payload.bytes;
  return Object.assign(toDto(event), { payload: payload && { ...payload, isCut } });
}
