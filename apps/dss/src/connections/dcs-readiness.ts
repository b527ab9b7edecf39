import { Injectable } from '@nestjs/common';
import { DcsClient } from '#dcs-client';
import { ReadinessIndicator } from '#platform';

/** Without DCS no lease can be had, so nothing can run here. */
@Injectable()
export class DcsReadiness extends ReadinessIndicator {
  readonly name = 'dcs';
  readonly #dcs: DcsClient;

  constructor(dcs: DcsClient) {
    super();
    this.#dcs = dcs;
  }

  async check(): Promise<Readonly<Record<string, unknown>>> {
    const leases = await this.#dcs.listLeases();
    return { leases: leases.length };
  }
}
