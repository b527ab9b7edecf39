import { type ChaosService, ways } from '../plan.ts';
import type { Takeover } from '../report.ts';
import type { Sources } from '../sources.ts';
import { Stopwatch } from '../stopwatch.ts';
import type { FaultAct } from './fault-act.ts';

const TAKEN_WITHIN_MS = 180_000;

/** A DSS dies, with nothing else wrong, and stays away until the other one has taken over what it ran. */
export class DeadDss implements FaultAct {
  readonly #dss: FaultAct;
  readonly #name: ChaosService;
  readonly #sources: Sources;
  readonly #note: (done: Takeover) => void;

  constructor(dss: FaultAct, name: ChaosService, sources: Sources, note: (done: Takeover) => void) {
    this.#dss = dss;
    this.#name = name;
    this.#sources = sources;
    this.#note = note;
  }

  async apply(): Promise<void> {
    const owners = await this.#sources.waitUntilSteady();
    const owned = ways.filter((way) => owners.get(way) === this.#name);
    const watch = new Stopwatch();
    await this.#dss.apply();
    const taken = owned.map(async (source): Promise<Takeover> => {
      const isTaken = await this.#sources
        .waitUntil(source, 'the takeover', TAKEN_WITHIN_MS, ({ state }) => state === 'streaming')
        .then(
          () => true,
          () => false,
        );
      return { source, isTaken, ...watch.read() };
    });
    for (const one of await Promise.all(taken)) this.#note(one);
  }

  calm(): Promise<void> {
    return this.#dss.calm();
  }
}
