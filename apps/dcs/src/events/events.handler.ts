import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { type DcsAnswer, dcsContract, type DcsRequest } from '#dcs-client';
import { Roles, RpcData, SchemaPipe } from '#platform';
import { compileKeyMatch } from '../http/event-query.ts';
import { EventWindow } from './event-window.ts';

const { findChanges } = dcsContract;

@Controller()
export class EventsHandler {
  readonly #window: EventWindow;

  constructor(window: EventWindow) {
    this.#window = window;
  }

  @Roles('read')
  @MessagePattern(findChanges.pattern)
  async findChanges(
    @RpcData(new SchemaPipe(findChanges.request)) { source, table, key, limit }: DcsRequest<'findChanges'>,
  ): Promise<DcsAnswer<'findChanges'>> {
    const isKept = this.#window.isKept(source);
    if (!isKept) return { isKept, isComplete: false, changes: [] };
    const { events, gaps, isCutShort } = await this.#window.find({
      source,
      table,
      matches: compileKeyMatch(key),
      limit,
    });
    const changes = events.map(({ op, id, version, gtid, commitMs, publishedMs, topic, partition, offset }) => ({
      ...{ op, id, version, gtid, commitMs, publishedMs, topic, partition, offset },
    }));
    return { isKept, isComplete: gaps.length === 0 && !isCutShort, changes };
  }
}
