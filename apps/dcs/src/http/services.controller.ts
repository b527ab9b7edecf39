import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { type DittoConfig } from '#configuration';
import { InjectConfig } from '#platform';
import { StatusBoard } from '../services/status-board.ts';
import { ServersDto, ServicesDto } from './status.dto.ts';

@ApiTags('services')
@Controller()
export class ServicesController {
  readonly #board: StatusBoard;
  readonly #sources: readonly string[];

  constructor(board: StatusBoard, @InjectConfig() config: DittoConfig) {
    this.#board = board;
    this.#sources = Object.keys(config.sources);
  }

  @Get('services')
  @ApiOperation({ summary: 'The service instances that reported lately' })
  async listServices(): Promise<ServicesDto> {
    return { services: [...(await this.#board.listServices())] };
  }

  @Get('servers')
  @ApiOperation({ summary: 'The servers of each configured source, as probed lately' })
  async listServers(): Promise<ServersDto> {
    const servers = await Promise.all(
      this.#sources.map(async (source) => ({ source, servers: [...(await this.#board.listServers(source))] })),
    );
    return { sources: servers };
  }
}
