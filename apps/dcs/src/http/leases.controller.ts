import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { LeaseOffice } from '../leases/lease-office.ts';
import { LeasesDto } from './lease.dto.ts';

@ApiTags('leases')
@Controller('leases')
export class LeasesController {
  readonly #office: LeaseOffice;

  constructor(office: LeaseOffice) {
    this.#office = office;
  }

  @Get()
  @ApiOperation({ summary: 'Who runs which source' })
  async list(): Promise<LeasesDto> {
    const leases = await this.#office.list();
    return { leases: leases.map(({ source, owner, token, expiresInMs }) => ({ source, owner, token, expiresInMs })) };
  }
}
