import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { type DcsAnswer, dcsContract, type DcsRequest } from '#dcs-client';
import { Roles, RpcData, SchemaPipe } from '#platform';
import { StatusBoard } from './status-board.ts';

const { reportService, listServices, reportServers, listServers } = dcsContract;

@Controller()
export class ServicesHandler {
  readonly #board: StatusBoard;

  constructor(board: StatusBoard) {
    this.#board = board;
  }

  @MessagePattern(reportService.pattern)
  async reportService(
    @RpcData(new SchemaPipe(reportService.request)) { status, ttlMs }: DcsRequest<'reportService'>,
  ): Promise<DcsAnswer<'reportService'>> {
    await this.#board.reportService(status, ttlMs);
    return {};
  }

  @Roles('read')
  @MessagePattern(listServices.pattern)
  async listServices(): Promise<DcsAnswer<'listServices'>> {
    return { services: [...(await this.#board.listServices())] };
  }

  @MessagePattern(reportServers.pattern)
  async reportServers(
    @RpcData(new SchemaPipe(reportServers.request)) { source, heartbeats, ttlMs }: DcsRequest<'reportServers'>,
  ): Promise<DcsAnswer<'reportServers'>> {
    await this.#board.reportServers(source, heartbeats, ttlMs);
    return {};
  }

  @Roles('read')
  @MessagePattern(listServers.pattern)
  async listServers(
    @RpcData(new SchemaPipe(listServers.request)) { source }: DcsRequest<'listServers'>,
  ): Promise<DcsAnswer<'listServers'>> {
    return { heartbeats: [...(await this.#board.listServers(source))] };
  }
}
