import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { type DittoConfig } from '#configuration';
import { toDittoError } from '#kernel';
import { createLogger, InjectConfig } from '#platform';
import { type DueChunk, type RunTrigger, VerificationRunStore } from '#verification';
import { VerificationRuns } from './verification-runs.ts';
import { VerifiedSources } from './verified-sources.ts';

/** A pass over small tables ends at once: the next one begins no sooner than this after the one before. */
const REST_MS = 60_000;
const ACTOR = 'dws';

/** Runs that begin by themselves: at the turns of the schedule, and pass after pass. */
@Injectable()
export class RecurringRuns {
  readonly #config: DittoConfig;
  readonly #store: VerificationRunStore;
  readonly #runs: VerificationRuns;
  readonly #sources: readonly string[];
  readonly #logger = createLogger('verification');

  constructor(
    @InjectConfig() config: DittoConfig,
    store: VerificationRunStore,
    runs: VerificationRuns,
    sources: VerifiedSources,
  ) {
    this.#config = config;
    this.#store = store;
    this.#runs = runs;
    this.#sources = Object.keys(config.sources).filter((source) => sources.listSinks(source).length > 0);
  }

  get sources(): readonly string[] {
    return this.#sources;
  }

  /** Begins the run of a turn, once, unless one of the schedule is under way. Never rejects. */
  async takeTurn(source: string, turn: string): Promise<readonly DueChunk[]> {
    if (!this.#sources.includes(source) || this.#config.verification.schedule === undefined) return [];
    return this.#tryBegin(source, 'schedule', async () => {
      const [open] = await this.#store.list({ source, states: ['running', 'paused'], trigger: 'schedule' }, 1);
      return open === undefined ? turn : null;
    });
  }

  /** Begins the next pass of each source whose last one has ended. Never rejects. */
  async continueAll(nowMs: number): Promise<readonly DueChunk[]> {
    if (this.#config.verification.continuousRowsPerSecond === 0) return [];
    const due: DueChunk[] = [];
    for (const source of this.#sources)
      due.push(
        ...(await this.#tryBegin(source, 'continuous', async () => {
          const [last] = await this.#store.list({ source, trigger: 'continuous' }, 1);
          if (last === undefined) return '';
          return last.endedAtMs === null || last.createdAtMs + REST_MS > nowMs ? null : last.id;
        })),
      );
    return due;
  }

  /** `findTurn` gives what tells this run from all others, so that several workers begin it once; null for none. */
  async #tryBegin(
    source: string,
    trigger: RunTrigger,
    findTurn: () => Promise<string | null>,
  ): Promise<readonly DueChunk[]> {
    try {
      const turn = await findTurn();
      if (turn === null) return [];
      const id = createHash('sha256')
        .update(JSON.stringify([source, trigger, turn]))
        .digest('hex')
        .slice(0, 32);
      const { continuousRowsPerSecond } = this.#config.verification;
      const rowsPerSecond = trigger === 'continuous' ? continuousRowsPerSecond : null;
      const order = { id, source, scope: { kind: 'source' }, trigger, actor: ACTOR, rowsPerSecond } as const;
      return (await this.#runs.begin(order)).due;
    } catch (error) {
      const { code, message } = toDittoError(error);
      this.#logger.warn('a verification could not begin', { source, trigger, code, error: message });
      return [];
    }
  }
}
