import type { Direction, FaultProxy } from '#testing';
import type { FaultAct } from './fault-act.ts';

export type LinkTrouble = 'cut' | 'delay' | 'throttle' | 'half-close' | 'silence';

const MOST_DELAY_MS = 1_500;
const MOST_BYTES_PER_SECOND = 200_000;

/** What a network does to the connections between two. */
export class LinkFault implements FaultAct {
  readonly #proxy: FaultProxy;
  readonly #trouble: LinkTrouble;
  readonly #dice: number;

  constructor(proxy: FaultProxy, trouble: LinkTrouble, dice: number) {
    this.#proxy = proxy;
    this.#trouble = trouble;
    this.#dice = dice;
  }

  apply(): Promise<void> {
    const direction: Direction = this.#dice < 0.5 ? 'toServer' : 'toClient';
    const act: Readonly<Record<LinkTrouble, () => void>> = {
      cut: () => this.#proxy.cut(),
      delay: () => this.#proxy.delay(20 + this.#dice * MOST_DELAY_MS),
      throttle: () => this.#proxy.throttle(5_000 + this.#dice * MOST_BYTES_PER_SECOND),
      'half-close': () => this.#proxy.halfClose(direction),
      silence: () => this.#proxy.silence(this.#dice < 0.3 ? {} : { direction }),
    };
    act[this.#trouble]();
    return Promise.resolve();
  }

  calm(): Promise<void> {
    this.#proxy.restore();
    return Promise.resolve();
  }
}
