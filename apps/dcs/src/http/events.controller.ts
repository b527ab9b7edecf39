import { Controller, Get, Query } from '@nestjs/common';
import { ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { type DittoConfig } from '#configuration';
import { parseJsonExactly } from '#kernel';
import { assertKnownSource, InjectConfig, SchemaPipe } from '#platform';
import { EventFollower } from '../events/event-follower.ts';
import { EventWindow } from '../events/event-window.ts';
import { EventsDto } from './event.dto.ts';
import { compileKeyMatch, type EventQuery, eventQuerySchema } from './event-query.ts';

@ApiTags('events')
@Controller('events')
export class EventsController {
  readonly #window: EventWindow;
  readonly #follower: EventFollower;
  readonly #config: DittoConfig;

  constructor(window: EventWindow, follower: EventFollower, @InjectConfig() config: DittoConfig) {
    this.#config = config;
    this.#window = window;
    this.#follower = follower;
  }

  @Get()
  @ApiOperation({ summary: 'What happened lately: to a source, a table, or one row' })
  @ApiQuery({ name: 'source', required: true })
  @ApiQuery({ name: 'table', required: false, description: '`database.table`; all tables when left out' })
  @ApiQuery({
    name: 'key',
    required: false,
    description: 'The message key, `{"id":1}`, or just the value of a key of one column',
  })
  @ApiQuery({ name: 'limit', required: false, type: Number, description: 'Most events; 50 by default, at most 1000' })
  async find(@Query(new SchemaPipe(eventQuerySchema)) { source, table, key, limit }: EventQuery): Promise<EventsDto> {
    assertKnownSource(this.#config, source);
    const { events, gaps, skippedEvents, isCutShort } = await this.#window.find({
      source,
      limit,
      ...(table && { table }),
      ...(key && { matches: compileKeyMatch(key) }),
    });
    return {
      source,
      enabled: this.#window.isKept(source),
      holdingBecause: this.#follower.holdingBecause,
      complete: gaps.length === 0 && !isCutShort,
      skippedEvents,
      gaps: [...gaps],
      events: events.map(({ key, value, ...event }) => ({
        ...event,
        key: key === null ? null : parseJsonExactly(key),
        value: value === null ? null : parseJsonExactly(value),
      })),
    };
  }
}
