import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { type DcsAnswer, dcsContract, type DcsRequest } from '#dcs-client';
import { Roles, RpcData, SchemaPipe } from '#platform';
import { LeaseOffice } from './lease-office.ts';

const { acquireLease, renewLease, releaseLease, listLeases } = dcsContract;

@Controller()
export class LeasesHandler {
  readonly #office: LeaseOffice;

  constructor(office: LeaseOffice) {
    this.#office = office;
  }

  @MessagePattern(acquireLease.pattern)
  async acquire(
    @RpcData(new SchemaPipe(acquireLease.request)) request: DcsRequest<'acquireLease'>,
  ): Promise<DcsAnswer<'acquireLease'>> {
    return this.#office.acquire(request);
  }

  @MessagePattern(renewLease.pattern)
  async renew(
    @RpcData(new SchemaPipe(renewLease.request)) request: DcsRequest<'renewLease'>,
  ): Promise<DcsAnswer<'renewLease'>> {
    return { renewed: await this.#office.renew(request.grant, request.ttlMs) };
  }

  @MessagePattern(releaseLease.pattern)
  async release(
    @RpcData(new SchemaPipe(releaseLease.request)) { grant, handOver }: DcsRequest<'releaseLease'>,
  ): Promise<DcsAnswer<'releaseLease'>> {
    return { released: await this.#office.release(grant, handOver) };
  }

  @Roles('read')
  @MessagePattern(listLeases.pattern)
  async list(): Promise<DcsAnswer<'listLeases'>> {
    return { leases: [...(await this.#office.list())] };
  }
}
