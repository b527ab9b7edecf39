import { Random } from '../types/random.ts';

/** How a source is moved when its server is lost; each way has a source, with tables of its own. */
export const ways = ['commit', 'replicated'] as const;
export type Way = (typeof ways)[number];

export const services = ['dss-1', 'dss-2', 'dcs-1', 'dcs-2', 'dws-1'] as const;
export type ChaosService = (typeof services)[number];

/** Servers that are killed and frozen as they are; the primary of the sources has a fault of its own. */
export const servers = ['replica', 'kafka-1', 'kafka-2', 'kafka-3', 'mongo', 'redis', 'mysql-state'] as const;
export type ChaosServer = (typeof servers)[number];

/** Who talks to whom, through a proxy; `primary` is whichever server is the primary then. */
export const links = [
  'dss primary',
  'dss replica',
  'dss mongo',
  'dss mysql-state',
  'dss dcs-1',
  'dss dcs-2',
  'dws primary',
  'dws mongo',
  'dws mysql-state',
  'dws redis',
  'dws dcs-1',
  'dcs redis',
  'dcs mysql-state',
  'all kafka-1',
  'all kafka-2',
  'all kafka-3',
  'replica primary',
] as const;
export type ChaosLink = (typeof links)[number];

const processKinds = ['kill', 'freeze'] as const;
const linkKinds = ['cut', 'delay', 'throttle', 'half-close', 'silence'] as const;

export type Fault =
  | { readonly kind: 'kill primary'; readonly on: 'primary' }
  | { readonly kind: (typeof processKinds)[number]; readonly on: ChaosService | ChaosServer }
  | { readonly kind: 'restart' | 'clock'; readonly on: ChaosService }
  | { readonly kind: (typeof linkKinds)[number]; readonly on: ChaosLink }
  | { readonly kind: 'refuse writes'; readonly on: 'mongo' };

export type PlannedFault = Fault & {
  readonly lastsMs: number;
  /** From 0 to 1, for what a kind has to choose. */ readonly dice: number;
};

/** Faults that begin together, after a rest. */
export interface FaultGroup {
  readonly restMs: number;
  readonly faults: readonly PlannedFault[];
}

/** Every fault that can be planned. */
export const allFaults: readonly Fault[] = [
  ...processKinds.flatMap((kind) => [...services, ...servers].map((on): Fault => ({ kind, on }))),
  ...(['restart', 'clock'] as const).flatMap((kind) => services.map((on): Fault => ({ kind, on }))),
  ...linkKinds.flatMap((kind) => links.map((on): Fault => ({ kind, on }))),
  { kind: 'refuse writes', on: 'mongo' },
];

/** The same seed gives the same rounds. Each has the loss of a primary in it, alone, and about eight other faults. */
export class Plan {
  readonly #random: Random;
  /** What is left of all faults in a random order: each comes before any comes again. */
  #left: Fault[] = [];

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  nextRound(groups = 5): FaultGroup[] {
    const at = this.#random.between(0, groups - 1);
    return Array.from({ length: groups }, (_, index) => (index === at ? this.#lossOfPrimary() : this.#group()));
  }

  #lossOfPrimary(): FaultGroup {
    const fault: PlannedFault = { kind: 'kill primary', on: 'primary', lastsMs: 0, dice: this.#dice() };
    return { restMs: this.#random.between(1_000, 2_000), faults: [fault] };
  }

  #group(): FaultGroup {
    const first = this.#take(() => true);
    const second = this.#random.between(0, 1) === 0 ? null : this.#take((fault) => mayJoin(fault, first));
    const faults = [first, ...(second === null ? [] : [second])].map((fault) => this.#time(fault));
    return { restMs: this.#random.between(200, 1_500), faults };
  }

  #time(fault: Fault): PlannedFault {
    return { ...fault, lastsMs: this.#random.between(300, 4_000), dice: this.#dice() };
  }

  #take(fits: (fault: Fault) => boolean): Fault {
    if (!this.#left.some(fits)) this.#left = this.#shuffle(allFaults);
    const index = this.#left.findIndex(fits);
    const [fault] = this.#left.splice(index, 1);
    if (fault === undefined) throw new RangeError('no fault fits');
    return fault;
  }

  #shuffle(faults: readonly Fault[]): Fault[] {
    const left = [...faults];
    return Array.from(faults, () => left.splice(this.#random.between(0, left.length - 1), 1)[0] as Fault);
  }

  #dice(): number {
    return this.#random.between(0, 999_999) / 1_000_000;
  }
}

/** Two of three brokers are a majority: only one may be away. Two faults of one place would undo each other. */
function mayJoin(fault: Fault, other: Fault): boolean {
  const isBroker = ({ on }: Fault): boolean => on.includes('kafka');
  return fault.on !== other.on && !(isBroker(fault) && isBroker(other));
}

export function describeFault({ kind, on }: Fault): string {
  return kind === 'kill primary' ? kind : `${kind} ${on}`;
}
