import { STATE_CHANGE_CODES, type StateChange, type SteppingDownProxy, type Trouble } from '#testing';
import type { FaultAct } from './fault-act.ts';

const names = Object.keys(STATE_CHANGE_CODES) as StateChange[];
const answers: readonly Trouble['way'][] = ['refused', 'interrupted', 'unconfirmed'];

/** MongoDB refuses writes, or carries them out and does not confirm them, as members do whose primary changes. */
export class RefusedWrites implements FaultAct {
  readonly #mongo: SteppingDownProxy;
  readonly #dice: number;

  constructor(mongo: SteppingDownProxy, dice: number) {
    this.#mongo = mongo;
    this.#dice = dice;
  }

  apply(): Promise<void> {
    const choice = Math.floor(this.#dice * names.length * answers.length);
    this.#mongo.trouble({
      name: names[choice % names.length] ?? 'NotWritablePrimary',
      way: answers[Math.floor(choice / names.length)] ?? 'refused',
      commands: 'writes',
    });
    return Promise.resolve();
  }

  calm(): Promise<void> {
    this.#mongo.calm();
    return Promise.resolve();
  }
}
