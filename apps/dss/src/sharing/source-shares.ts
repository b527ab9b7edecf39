import { type LeaseHolder, type ServiceStatus } from '#dcs-client';
import { isAbort, type Logger, sleep, toDittoError, withTimeout } from '#kernel';
import { type Placement } from '#state';
import { type LeaseTurn } from '../sources/lease-keeper.ts';
import { sourcesOf } from './reported-sources.ts';
import { assignFree, chooseMove, type Move, type SharedSource, type SharingInstance, sumShares } from './share-plan.ts';

const LOOK_EVERY_MS = 1000;
/** What was seen longer ago says nothing: leases are asked for as if nobody else was there, and nothing is moved. */
const SIGHT_MS = 3000;
/** How long a look waits for the state database. */
const PLACEMENTS_WITHIN_MS = 1000;
/** An instance that has not reported itself anew for so long gets no source; it reports every two seconds. */
const ALIVE_MS = 5000;
/** An instance takes a source that falls to another one when nobody has had it for so long. */
const HOLD_BACK_MS = 1000;
/** An instance gets sources when its share has not shrunk for so long: longer than a dead one seems to live. */
const STEADY_MS = 6500;
/** A source that has come back from where it was moved to stays for so long: it may not be possible there. */
const REST_MS = 600_000;

interface HandOver {
  readonly to: string;
  readonly atMs: number;
  /** What it followed from; null where the instances share the sources by themselves. */
  readonly placement: Placement | null;
}

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
  /** Drains a source of this instance and hands it over, or fails to; null when it is not this one's. */
  readonly move: (source: string, to: string, askedBy: string | null) => Promise<boolean> | null;
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
  /** The last one of each source by this instance. */
  readonly #moved = new Map<string, HandOver>();
  /** The sources of this instance, and when it was first seen to own each. */
  readonly #owned = new Map<string, { readonly token: number; readonly sinceMs: number }>();
  /** What the sources of each instance weigh, and since when that has not become less. */
  readonly #weights = new Map<string, { readonly weight: number; readonly sinceMs: number }>();
  #placements: ReadonlyMap<string, Placement> = new Map();
  #turns: ReadonlyMap<string, LeaseTurn> = new Map();
  #lookedAtMs = -Infinity;
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
    return this.#options.monotonicMs() - (this.#moved.get(source)?.atMs ?? -Infinity) > REST_MS;
  }

  /** One look, and what follows from it. */
  async look(): Promise<void> {
    const { listLeases, listServices, isMoving, monotonicMs, logger } = this.#options;
    const nowMs = monotonicMs();
    try {
      // a move that ends meanwhile may be missing in what is seen
      const isBusy = isMoving();
      const [leases, services, placements] = await Promise.all([listLeases(), listServices(), this.#listPlacements()]);
      if (placements !== null) this.#placements = placements;
      const instances = this.#findLiving(services, nowMs);
      const sources = this.#describeSources(leases, services);
      const move = chooseMove({ instances, sources });
      const view = { instances, sources, move };
      this.#turns = new Map(sources.map((source) => [source.name, this.#findTurn(source, view)]));
      this.#noteLeases(leases, nowMs);
      this.#noteWeights(instances, sources, nowMs);
      this.#lookedAtMs = nowMs;
      // no lease is granted while the state database is away: nobody could take what is handed over
      if (placements !== null && monotonicMs() - nowMs <= SIGHT_MS) {
        const follows = this.#followPlacements(sources, instances, nowMs);
        // what an operator has asked for changes the shares
        if (move !== null && !isBusy && !follows) this.#even(move, nowMs);
        await this.#endPlacements(leases, services);
      }
      this.#isFailing = false;
    } catch (cause) {
      const { code, message } = toDittoError(cause);
      if (!this.#isFailing) logger.warn('the shares of the sources are not known', { code, error: message });
      this.#isFailing = true;
    }
  }

  /** Null while the state database is away: the last known ones hold then. */
  async #listPlacements(): Promise<ReadonlyMap<string, Placement> | null> {
    const late = (): Error => new Error('the state database is not waited for any longer');
    return withTimeout(this.#options.listPlacements(), PLACEMENTS_WITHIN_MS, late).catch(() => null);
  }

  /** Hands over what another instance has too little of. */
  #even({ source, from, to }: Move, nowMs: number): void {
    if (from !== this.#options.instance || nowMs - (this.#weights.get(to)?.sinceMs ?? nowMs) < STEADY_MS) return;
    this.#handOver({ source, to, placement: null }, nowMs);
  }

  /** Whether it has begun. */
  #handOver({ source, to, placement }: Omit<HandOver, 'atMs'> & { readonly source: string }, nowMs: number): boolean {
    const handedOver = this.#options.move(source, to, placement?.placedBy ?? null);
    if (handedOver === null) return false;
    const moved = { to, atMs: nowMs, placement };
    this.#moved.set(source, moved);
    void handedOver.then((isMoved) => {
      if (!isMoved && this.#moved.get(source) === moved) this.#moved.delete(source);
    });
    return true;
  }

  #findLiving(services: readonly ServiceStatus[], nowMs: number): SharingInstance[] {
    const { instance, weights } = this.#options;
    const dss = services.filter(({ service }) => service === 'dss');
    for (const { instance: name, reportedAtMs } of dss)
      if (this.#reports.get(name)?.reportedAtMs !== reportedAtMs)
        this.#reports.set(name, { reportedAtMs, seenAtMs: nowMs });
    const reported = new Set(dss.map((status) => status.instance));
    for (const name of this.#reports.keys()) {
      if (reported.has(name)) continue;
      this.#reports.delete(name);
      this.#weights.delete(name);
    }
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

  /** One that has reported late is as steady as before; one that has died loses its sources while it seems to live. */
  #noteWeights(instances: readonly SharingInstance[], sources: readonly SharedSource[], nowMs: number): void {
    for (const [name, weight] of sumShares({ instances, sources })) {
      const before = this.#weights.get(name);
      const sinceMs = before === undefined || weight < before.weight ? nowMs : before.sinceMs;
      this.#weights.set(name, { weight, sinceMs });
    }
  }

  #noteLeases(leases: readonly LeaseHolder[], nowMs: number): void {
    const { instance, logger } = this.#options;
    const owned = leases.filter(({ owner }) => owner === instance);
    for (const source of this.#owned.keys())
      if (!owned.some((lease) => lease.source === source)) this.#owned.delete(source);
    for (const { source, token } of owned) {
      if (token === null || this.#owned.get(source)?.token === token) continue;
      this.#owned.set(source, { token, sinceMs: nowMs });
      if (!this.mayMove(source))
        logger.warn('a source has come back from where it was moved to, and stays for a while', {
          source,
          movedTo: this.#moved.get(source)?.to,
        });
    }
    this.#noteExpiries(leases, nowMs);
  }

  #noteExpiries(leases: readonly LeaseHolder[], nowMs: number): void {
    const held = new Map(leases.map(({ source, expiresInMs }) => [source, expiresInMs]));
    for (const source of this.#options.weights.keys()) {
      const expiresInMs = held.get(source);
      const freeAtMs = this.#freeAtMs.get(source) ?? nowMs;
      this.#freeAtMs.set(source, expiresInMs === undefined ? Math.min(freeAtMs, nowMs) : nowMs + expiresInMs);
    }
  }

  /**
   * Hands over what an operator wants elsewhere, to an instance that is known to have lived since the source is here. Where
   * it has come back from there, it is handed over again only after a rest, or when somebody has asked for that again.
   * Whether any is handed over.
   */
  #followPlacements(sources: readonly SharedSource[], instances: readonly SharingInstance[], nowMs: number): boolean {
    const { instance } = this.#options;
    let follows = false;
    for (const { name: source, owner, placedOn } of sources) {
      const placement = this.#placements.get(source);
      if (placement === undefined || owner !== instance || placedOn === instance) continue;
      const to = placement.instance;
      const target = instances.find(({ name }) => name === to);
      const reportedMs = this.#reports.get(to)?.seenAtMs ?? -Infinity;
      if (target?.sources.has(source) !== true || reportedMs <= (this.#owned.get(source)?.sinceMs ?? nowMs)) continue;
      const isNew = this.#moved.get(source)?.placement?.order !== placement.order;
      if (isNew || this.mayMove(source)) follows = this.#handOver({ source, to, placement }, nowMs) || follows;
    }
    return follows;
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
