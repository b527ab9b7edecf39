import { expect } from '@jest/globals';

import { silentLogger } from '#kernel';

import { type KafkaConnectionOptions } from '../src/index.ts';
import { listWays, refusal } from './connecting-ways.ts';
import { type Listener, type SecureBroker } from './secure-broker.ts';

export interface Attempt extends Partial<Pick<KafkaConnectionOptions, 'tls' | 'sasl'>> {
  readonly to: Listener | { readonly address: string };
}

type Outcomes = Readonly<Record<string, unknown>>;

export function complete(options: Partial<KafkaConnectionOptions>): KafkaConnectionOptions {
  return { brokers: [], clientId: 'secure', logger: silentLogger, connectTimeoutMs: 20_000, ...options };
}

/** Tries to connect to a broker by all ways at once. */
export class Attempts {
  readonly #broker: SecureBroker;
  readonly #ways: ReturnType<typeof listWays>;

  /** @param topic one that has a message */
  constructor(broker: SecureBroker, topic: string) {
    this.#broker = broker;
    this.#ways = listWays(topic);
  }

  get count(): number {
    return Object.keys(this.#ways).length;
  }

  /** The result of each way; null where it works. */
  async attempt({ to, tls = null, sasl = null }: Attempt): Promise<Outcomes> {
    const address = typeof to === 'string' ? this.#broker.address(to) : to.address;
    const options = complete({ brokers: [address], tls, sasl });
    const outcomes = Object.entries(this.#ways).map(
      async ([name, way]) => [name, await refusal(() => way(options))] as const,
    );
    return Object.fromEntries(await Promise.all(outcomes));
  }

  async expectWorks(cases: Readonly<Record<string, Attempt>>): Promise<void> {
    const expected = Object.keys(cases).map((name) => [name, this.#each(null)]);
    expect(await this.#attemptAll(cases)).toEqual(Object.fromEntries(expected));
  }

  /** Each with this code, and a remedy like that. */
  async expectRefused(
    code: string,
    cases: Readonly<Record<string, Attempt & { readonly remedy: RegExp }>>,
  ): Promise<void> {
    const expected = Object.entries(cases).map(([name, { remedy }]) => [
      name,
      this.#each(expect.objectContaining({ code, remedy: expect.stringMatching(remedy) })),
    ]);
    expect(await this.#attemptAll(cases)).toEqual(Object.fromEntries(expected));
  }

  #each(outcome: unknown): Outcomes {
    return Object.fromEntries(Object.keys(this.#ways).map((way) => [way, outcome]));
  }

  async #attemptAll(cases: Readonly<Record<string, Attempt>>): Promise<Readonly<Record<string, Outcomes>>> {
    const outcomes = Object.entries(cases).map(async ([name, one]) => [name, await this.attempt(one)] as const);
    return Object.fromEntries(await Promise.all(outcomes));
  }
}
