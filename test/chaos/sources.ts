import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceStatus } from '../../apps/dss/src/sources/source-status.ts';
import type { Deployment } from './deployment.ts';
import { type ChaosService, type Way, ways } from './plan.ts';
import type { NodeName } from './source-cluster.ts';

const ASK_EVERY_MS = 100;
const ANSWER_WITHIN_MS = 2_000;
const STEADY_WITHIN_MS = 120_000;
const CAUGHT_UP_WITHIN_MS = 180_000;
const TABLES = 2;

export interface OwnedStatus extends SourceStatus {
  readonly instance: ChaosService;
}

/** What the DSS instances say of the sources. */
export class Sources {
  readonly #deployment: Deployment;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
  }

  /** What the owner says, if there is one and it answers. */
  async status(way: Way): Promise<OwnedStatus | null> {
    const asked = [...this.#deployment.running].filter(([name]) => name.startsWith('dss-'));
    const answers = await Promise.all(
      asked.map(async ([name, { url }]): Promise<OwnedStatus | null> => {
        try {
          const answer = await fetch(`${url}/sources/${way}`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
          return answer.ok ? { ...((await answer.json()) as SourceStatus), instance: name } : null;
        } catch {
          return null; // frozen, or not up yet
        }
      }),
    );
    const known = answers.filter((answer) => answer !== null);
    const owner = known.filter(({ token }) => token !== null).sort((a, b) => (b.token ?? 0) - (a.token ?? 0))[0];
    return owner ?? known[0] ?? null;
  }

  async waitUntil(
    way: Way,
    what: string,
    withinMs: number,
    holds: (status: OwnedStatus) => boolean | Promise<boolean>,
  ): Promise<OwnedStatus> {
    const deadline = performance.now() + withinMs;
    let last: OwnedStatus | null = null;
    while (performance.now() < deadline) {
      last = await this.status(way);
      if (last !== null && (await holds(last))) return last;
      await sleep(ASK_EVERY_MS);
    }
    throw new Error(`${way}: waited ${withinMs / 1000} s for ${what}: ${describe(last)}`);
  }

  /** Every source is streamed and has its rows copied; gives by which DSS. */
  async waitUntilSteady(): Promise<ReadonlyMap<Way, ChaosService>> {
    const steady = ways.map(async (way) => {
      const { instance } = await this.waitUntil(way, 'the source to be streamed', STEADY_WITHIN_MS, isSteady);
      return [way, instance] as const;
    });
    return new Map(await Promise.all(steady));
  }

  /**
   * Has each source that is streamed from another server moved to the primary, as an operator does; else the death of the
   * primary is not theirs.
   */
  async moveToPrimary(): Promise<void> {
    const to = this.#deployment.addressOf(this.#deployment.cluster.primary);
    for (const way of ways)
      await this.waitUntil(way, `the source to be streamed from ${to}`, STEADY_WITHIN_MS, async (status) => {
        if (!isSteady(status)) return false;
        if (status.server?.endpoint === to) return true;
        await this.#askForSwitch(way, status.instance, to);
        return false;
      });
  }

  /** Refused where it is under way, or not possible yet. */
  async #askForSwitch(way: Way, owner: ChaosService, to: string): Promise<void> {
    const { url } = this.#deployment.instance(owner);
    await fetch(`${url}/sources/${way}/switch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ to }),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    }).catch(() => undefined); // it ends, or stands still: asked again
  }

  /** The first row of another server has come; null when none has in time. */
  async waitUntilMoved(way: Way, from: NodeName, withinMs: number): Promise<OwnedStatus | null> {
    const left = this.#deployment.addressOf(from);
    const hasMoved = ({ server, pipeline, state }: OwnedStatus): boolean =>
      state === 'streaming' && server !== null && server.endpoint !== left && (pipeline?.transactions ?? 0) > 0;
    return this.waitUntil(way, `the source to leave ${left}`, withinMs, hasMoved).catch(() => null);
  }

  /** Every checkpoint covers all that is committed; nothing may be written. */
  async waitUntilCaughtUp(): Promise<void> {
    const { cluster } = this.#deployment;
    const executed = await cluster.executed();
    const covers = async (status: OwnedStatus): Promise<boolean> =>
      isSteady(status) && (await cluster.subtract(executed, status.checkpoint?.position.gtidSet ?? '')) === '';
    await Promise.all(
      ways.map((way) => this.waitUntil(way, 'the checkpoint to pass the last commit', CAUGHT_UP_WITHIN_MS, covers)),
    );
  }
}

function isSteady({ state, pipeline, snapshot }: OwnedStatus): boolean {
  if (state !== 'streaming' || pipeline?.phase !== 'streaming') return false;
  return snapshot.length === TABLES && snapshot.every((table) => table.state === 'done');
}

function describe(status: OwnedStatus | null): string {
  if (status === null) return 'no DSS answers';
  const { instance, state, error, refusedServers, waits, server, pipeline, snapshot, sinks, lastSwitch } = status;
  const tables = snapshot.map(({ table, state: one, error: why }) => [table, one, why?.code]);
  const holding = Object.entries(sinks).map(([name, { holdingBecause }]) => [name, holdingBecause]);
  const { phase, lastError } = pipeline ?? { phase: null, lastError: null };
  return JSON.stringify({
    ...{ instance, state, error, refusedServers, waits, server, phase, lastError, tables, holding, lastSwitch },
  });
}
