import { setTimeout as sleep } from 'node:timers/promises';
import { type ServiceInstance, type World } from './world.ts';

export interface Run {
  readonly id: string;
  readonly state: string;
  readonly rows: number;
  readonly mismatches: number;
  readonly unsettled: number;
  readonly notJudged: number;
  readonly createdAtMs: number;
  readonly endedAtMs: number | null;
  readonly error: unknown;
}

export interface MismatchView {
  readonly id: string;
  readonly table: string;
  readonly sink: string;
  readonly key: string;
  readonly isKey: boolean;
  readonly kind: string;
  readonly state: string;
  readonly reason: string | null;
  readonly firstSeenMs: number;
  readonly details: { readonly shown: string | null };
}

const PAGE = 1000;
const ANSWER_WITHIN_MS = 15_000;
/** Each question costs the worker and the state database a part of what they have. */
const ASK_EVERY_MS = 250;

/** Rejects when it takes longer, with what was waited for. */
export async function within<T>(limitMs: number, what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${limitMs} ms for ${what}`)), limitMs);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a test asks of DWS about one source. The worker may be killed and replaced meanwhile; every wait has a limit. */
export class Verifying {
  readonly #world: World;
  readonly #worker: () => ServiceInstance;

  constructor(world: World, worker: () => ServiceInstance) {
    this.#world = world;
    this.#worker = worker;
  }

  /** Asks again while no worker answers, or the worker has not come up yet. */
  async ask<Answer>(path: string, body?: object): Promise<Answer> {
    const sent =
      body === undefined
        ? {}
        : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const deadline = performance.now() + 2 * ANSWER_WITHIN_MS;
    for (;;) {
      let last: string;
      let isFinal = performance.now() > deadline;
      try {
        const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
        const answer = await fetch(this.#worker().url + path, { ...sent, signal });
        const text = await answer.text();
        if (answer.ok) return JSON.parse(text) as Answer;
        last = `${answer.status} ${text}`;
        isFinal ||= answer.status !== 503;
      } catch (error) {
        last = String(error);
      }
      if (isFinal) throw new Error(`${path}: ${last}\n${this.#world.logTail(this.#worker())}`);
      await sleep(ASK_EVERY_MS);
    }
  }

  /** The run has the id that is given: a request that is sent again begins no other. */
  begin(more: object = {}): Promise<Run> {
    return this.ask('/verifications', { id: crypto.randomUUID(), source: this.#world.name, ...more });
  }

  find({ id }: Pick<Run, 'id'>): Promise<Run> {
    return this.ask(`/verifications/${id}`);
  }

  async waitFor(what: string, run: Run, withinMs: number, holds: (run: Run) => boolean): Promise<Run> {
    let now = run;
    const look = async (): Promise<boolean> => {
      await sleep(ASK_EVERY_MS);
      return holds((now = await this.find(run)));
    };
    await this.#world.waitFor(what, look, {
      withinMs,
      describe: () => `${JSON.stringify(now)}\n${this.#world.logTail(this.#worker())}`,
    });
    return now;
  }

  waitForEnd(run: Run, withinMs = 120_000): Promise<Run> {
    const hasEnded = ({ state }: Run): boolean => ['done', 'failed', 'cancelled'].includes(state);
    return this.waitFor('the run to end', run, withinMs, hasEnded);
  }

  async listMismatches(filter = ''): Promise<readonly MismatchView[]> {
    const all: MismatchView[] = [];
    let next: string | null = '0';
    while (next !== null) {
      const path = `/mismatches?source=${this.#world.name}&limit=${PAGE}&after=${next}${filter}`;
      const page: { mismatches: MismatchView[]; next: string | null } = await this.ask(path);
      all.push(...page.mismatches);
      next = page.next;
    }
    return all;
  }

  /** Until no mismatch is open, or being repaired. */
  async waitForRepairs(withinMs: number): Promise<readonly MismatchView[]> {
    let left: readonly MismatchView[] = [];
    let all: readonly MismatchView[] = [];
    const isUnderWay = ({ state }: MismatchView): boolean => state === 'open' || state === 'repairing';
    const look = async (): Promise<boolean> => {
      await sleep(ASK_EVERY_MS);
      left = [...(await this.listMismatches('&state=open')), ...(await this.listMismatches('&state=repairing'))];
      if (left.length > 0) return false;
      // one that went back to the first state between the two questions
      left = (all = await this.listMismatches()).filter(isUnderWay);
      return left.length === 0;
    };
    await this.#world.waitFor('all repairs to end', look, {
      withinMs,
      describe: () => `${JSON.stringify(left.slice(0, 5))}\n${this.#world.logTail(this.#worker())}`,
    });
    return all;
  }
}
