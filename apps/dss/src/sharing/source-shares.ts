import { type LeaseHolder, type ServiceStatus } from '#dcs-client';
import { isAbort, type Logger, sleep, toDittoError } from '#kernel';
import { type Placement } from '#state';
import { type LeaseTurn } from '../sources/lease-keeper.ts';
import { sourcesOf } from './reported-sources.ts';
import { assignFree, chooseMove, type Move, type SharedSource, type SharingInstance } from './share-plan.ts';

const LOOK_EVERY_MS = 1000;
/** What was seen longer ago says nothing: leases are asked for as if nobody else was there. */
const SIGHT_MS = 3000;
/** An instance that has not reported itself anew for so long gets no source; it reports every two seconds. */
const ALIVE_MS = 5000;
/** An instance takes a source that falls to another one when nobody has had it for so long. */
const HOLD_BACK_MS = 1000;
/** An instance gets sources when it has had too small a share for so long: longer than a dead one seems to live. */
const STEADY_MS = 6500;
/** A source that has come back from where it was moved to stays for so long: it may not be possible there. */
const REST_MS = 600_000;

export interface SourceSharesOptions {
  /** This one. */
  readonly instance: string;
  /** Weight of each source of the configuration. */
  readonly weights: ReadonlyMap<string, number>;
  readonly listLeases: () => Promise<readonly LeaseHolder[]>;
  readonly listServices: () => Promise<readonly ServiceStatus[]>;
  readonly listPlacements: () => Promise<ReadonlyMap<string, Placement>>;
  /** Ends a placement, unless the source is placed elsewhere by now. */
  readonly endPlacement: (source: string, instance: string) => Promise<void>;
  /** Drains a source of this instance and hands it over; false when it is not this one's. */
  readonly move: (source: string, to: string, askedBy: string | null) => boolean;
  /** Whether a source of this instance is being handed over. */
  readonly isMoving: () => boolean;
  readonly logger: Logger;
  /** As `LeaseKeeperOptions.monotonicMs`. */
  readonly monotonicMs: () => number;
}

/**
 * How this instance shares the sources with the others: which ones it asks for, and which of its own it hands over.
 * Every instance looks at the same leases, reports and placements and comes to the same plan; the owner of a source is
 * the only one that acts on it. Nothing depends on it that must be true: who owns a source is decided by its lease alone.
 */
export class SourceShares {
  readonly #options: SourceSharesOptions;
  /** The last report of each instance, and when it was first seen here: clocks of machines are not compared. */
  readonly #reports = new Map<string, { readonly reportedAtMs: number; readonly seenAtMs: number }>();
  /** When the lease of each source is free, unless it is renewed or granted. */
  readonly #freeAtMs = new Map<string, number>();
  readonly #movedAtMs = new Map<string, number>();
  #placements: ReadonlyMap<string, Placement> = new Map();
  #turns: ReadonlyMap<string, LeaseTurn> = new Map();
  #lookedAtMs = -Infinity;
  /** Who is to get a source next, and since when. */
  #steady: { readonly to: string; readonly sinceMs: number } | null = null;
  #isFailing = false;

  constructor(options: SourceSharesOptions) {
    this.#options = options;
  }

  /** Looks and acts until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.look();
      await sleep(LOOK_EVERY_MS, signal).catch((error: unknown) => {
        if (!isAbort(error)) throw error;
      });
    }
  }

  /** Whether this instance asks for a source; see `LeaseTurn`. */
  turnOf(source: string): LeaseTurn {
    const nowMs = this.#options.monotonicMs();
    if (nowMs - this.#lookedAtMs > SIGHT_MS) return 'asks';
    const turn = this.#turns.get(source) ?? 'asks';
    return turn === 'waits' && nowMs >= (this.#freeAtMs.get(source) ?? 0) + HOLD_BACK_MS ? 'asks' : turn;
  }

  placementOf(source: string): Placement | null {
    return this.#placements.get(source) ?? null;
  }

  /** Whether a source that streams here may leave without an operator's word. */
  mayMove(source: string): boolean {
    const movedAtMs = this.#movedAtMs.get(source) ?? -Infinity;
    return this.#options.monotonicMs() - movedAtMs > REST_MS;
  }

  /** One look, and what follows from it. */
  async look(): Promise<void> {
    const { listLeases, listServices, listPlacements, isMoving, logger } = this.#options;
    try {
      // a move that ends meanwhile may be missing in what is seen
      const mayMove = !isMoving();
      const [leases, services] = await Promise.all([listLeases(), listServices()]);
      // while the state database is away the last known ones hold; no lease is granted then
      this.#placements = await listPlacements().catch(() => this.#placements);
      this.#act(leases, services, mayMove);
      await this.#endPlacements(leases, services);
      this.#isFailing = false;
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      if (!this.#isFailing) logger.warn('the shares of the sources are not known', { code, error: message });
      this.#isFailing = true;
    }
  }

  #act(leases: readonly LeaseHolder[], services: readonly ServiceStatus[], mayMove: boolean): void {
    const { instance, monotonicMs } = this.#options;
    const nowMs = monotonicMs();
    const instances = this.#findLiving(services, nowMs);
    const sources = this.#describeSources(leases, services);
    const move = chooseMove({ instances, sources });
    this.#turns = new Map(sources.map((source) => [source.name, this.#findTurn(source, { instances, sources, move })]));
    this.#noteExpiries(leases, nowMs);
    this.#lookedAtMs = nowMs;
    this.#followPlacements(sources, instances);
    if (move?.to !== this.#steady?.to) this.#steady = move && { to: move.to, sinceMs: nowMs };
    if (move?.from !== instance || nowMs - (this.#steady?.sinceMs ?? nowMs) < STEADY_MS) return;
    if (!mayMove) return;
    if (this.#options.move(move.source, move.to, null)) this.#movedAtMs.set(move.source, nowMs);
  }

  #findLiving(services: readonly ServiceStatus[], nowMs: number): SharingInstance[] {
    const { instance, weights } = this.#options;
    const dss = services.filter(({ service }) => service === 'dss');
    for (const { instance: name, reportedAtMs } of dss)
      if (this.#reports.get(name)?.reportedAtMs !== reportedAtMs)
        this.#reports.set(name, { reportedAtMs, seenAtMs: nowMs });
    const reported = new Set(dss.map((status) => status.instance));
    for (const name of this.#reports.keys()) if (!reported.has(name)) this.#reports.delete(name);
    const living = dss.filter(({ instance: name }) => nowMs - (this.#reports.get(name)?.seenAtMs ?? 0) < ALIVE_MS);
    return [
      { name: instance, sources: new Set(weights.keys()) },
      ...living
        .filter(({ instance: name }) => name !== instance)
        .map((status) => ({ name: status.instance, sources: new Set(sourcesOf(status).map(({ name }) => name)) })),
    ];
  }

  #describeSources(leases: readonly LeaseHolder[], services: readonly ServiceStatus[]): SharedSource[] {
    const owners = new Map(leases.map(({ source, owner }) => [source, owner]));
    const reports = new Map(services.map((status) => [status.instance, sourcesOf(status)]));
    return [...this.#options.weights].map(([name, weight]) => {
      const owner = owners.get(name) ?? null;
      const report = owner === null ? undefined : reports.get(owner)?.find((one) => one.name === name);
      const placedOn = this.#placements.get(name)?.instance ?? null;
      return { name, weight, owner, isMovable: report?.movable === true, placedOn };
    });
  }

  #findTurn(
    { name, owner, placedOn }: SharedSource,
    view: {
      readonly instances: readonly SharingInstance[];
      readonly sources: readonly SharedSource[];
      readonly move: Move | null;
    },
  ): LeaseTurn {
    const { instance } = this.#options;
    const { move } = view;
    if (owner === instance || placedOn === instance || (move?.to === instance && move.source === name))
      return 'expects';
    // as if the owner was gone
    const instances = view.instances.filter((one) => one.name !== owner);
    return assignFree({ instances, sources: view.sources }).get(name) === instance ? 'asks' : 'waits';
  }

  #noteExpiries(leases: readonly LeaseHolder[], nowMs: number): void {
    const held = new Map(leases.map(({ source, expiresInMs }) => [source, expiresInMs]));
    for (const source of this.#options.weights.keys()) {
      const expiresInMs = held.get(source);
      const freeAtMs = this.#freeAtMs.get(source) ?? nowMs;
      this.#freeAtMs.set(source, expiresInMs === undefined ? Math.min(freeAtMs, nowMs) : nowMs + expiresInMs);
    }
  }

  /** Hands over what an operator wants elsewhere. */
  #followPlacements(sources: readonly SharedSource[], instances: readonly SharingInstance[]): void {
    const { instance, move } = this.#options;
    for (const { name, owner, placedOn } of sources) {
      if (owner !== instance || placedOn === null || placedOn === instance) continue;
      const target = instances.find((one) => one.name === placedOn);
      if (target?.sources.has(name) === true) move(name, placedOn, this.#placements.get(name)?.placedBy ?? null);
    }
  }

  /** A placement ends with its instance: the owner of the source says so. */
  async #endPlacements(leases: readonly LeaseHolder[], services: readonly ServiceStatus[]): Promise<void> {
    const { instance, weights, endPlacement } = this.#options;
    const reported = new Set(services.map((status) => status.instance));
    for (const { source, owner } of leases) {
      const placedOn = this.#placements.get(source)?.instance;
      if (owner !== instance || placedOn === undefined || placedOn === instance || reported.has(placedOn)) continue;
      if (weights.has(source)) await endPlacement(source, placedOn);
    }
  }
}
