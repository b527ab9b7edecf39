import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { type DcsAnswer, dcsContract, type DcsRequest } from '#dcs-client';
import { Roles, RpcData, SchemaPipe } from '#platform';
import { OffsetBook } from './offset-book.ts';

const { putOffset, getOffset } = dcsContract;

@Controller()
export class OffsetsHandler {
  readonly #offsets: OffsetBook;

  constructor(offsets: OffsetBook) {
    this.#offsets = offsets;
  }

  @MessagePattern(putOffset.pattern)
  async put(
    @RpcData(new SchemaPipe(putOffset.request)) request: DcsRequest<'putOffset'>,
  ): Promise<DcsAnswer<'putOffset'>> {
    return { outcome: await this.#offsets.put(request.grant, request.checkpoint) };
  }

  @Roles('read')
  @MessagePattern(getOffset.pattern)
  async get(
    @RpcData(new SchemaPipe(getOffset.request)) { source }: DcsRequest<'getOffset'>,
  ): Promise<DcsAnswer<'getOffset'>> {
    return (await this.#offsets.get(source)) ?? { token: 0, checkpoint: null };
  }
}
