import { Injectable } from '@nestjs/common';
import { type DittoConfig } from '#configuration';
import { createInstanceName } from '#dcs-client';
import { isAbort, toDittoError } from '#kernel';
import { createLogger, InjectConfig, Shutdown } from '#platform';
import {
  type DueChunk,
  MismatchStore,
  type NewMismatch,
  RepairStore,
  type TableHold,
  type TakenChunk,
  VerificationRunStore,
} from '#verification';
import { VerificationMetrics } from '../metrics/verification-metrics.ts';
import { holdOfError } from './hold-of-error.ts';
import { ChunkWork } from './chunk-work.ts';
import { MismatchReports } from './mismatch-reports.ts';
import { VerifiedSources } from './verified-sources.ts';

/** So long a chunk is kept from others after its worker was heard of last. */
const LEASE_MS = 20_000;
const PROLONG_MS = 5_000;
const FIRST_DELAY_MS = 1_000;
const MOST_DELAY_MS = 30_000;

/** Takes chunks, does them, and says what becomes of them. */
@Injectable()
export class ChunkRunner {
  readonly #config: DittoConfig;
  readonly #sources: VerifiedSources;
  readonly #runs: VerificationRunStore;
  readonly #mismatches: MismatchStore;
  readonly #repairs: RepairStore;
  readonly #metrics: VerificationMetrics;
  readonly #reports: MismatchReports;
  readonly #signal: AbortSignal;
  readonly #worker = createInstanceName();
  readonly #logger = createLogger('verification');

  constructor(
    @InjectConfig() config: DittoConfig,
    sources: VerifiedSources,
    runs: VerificationRunStore,
    mismatches: MismatchStore,
    repairs: RepairStore,
    metrics: VerificationMetrics,
    reports: MismatchReports,
    shutdown: Shutdown,
  ) {
    this.#config = config;
    this.#sources = sources;
    this.#runs = runs;
    this.#mismatches = mismatches;
    this.#repairs = repairs;
    this.#metrics = metrics;
    this.#reports = reports;
    this.#signal = shutdown.signal;
    metrics.observe(() => mismatches.count());
  }

  /** Never rejects: a chunk that fails is tried again. */
  async run(chunkId: string, onDue: (due: readonly DueChunk[]) => void): Promise<void> {
    try {
      if (this.#signal.aborted) return;
      const taken = await this.#runs.take(chunkId, this.#worker, LEASE_MS);
      if (taken !== null) await this.#runTaken(taken, onDue);
    } catch (error) {
      // it is due again when its lease has run out
      const { code, message } = toDittoError(error);
      this.#logger.warn('a chunk could not be recorded; it is done again', { chunk: chunkId, code, error: message });
    }
  }

  async #runTaken(taken: TakenChunk, onDue: (due: readonly DueChunk[]) => void): Promise<void> {
    const { chunk, run } = taken;
    const lost = new AbortController();
    const signal = AbortSignal.any([this.#signal, lost.signal]);
    const prolonging = setInterval(() => {
      this.#runs.prolong(chunk.id, this.#worker, LEASE_MS).then(
        (isOurs) => isOurs || lost.abort(),
        () => undefined,
      );
    }, PROLONG_MS);
    try {
      const options = {
        ...{ runs: this.#runs, mismatches: this.#mismatches, repairs: this.#repairs },
        ...{ source: await this.#sources.open(run.source), onDue },
        chunkRows: this.#config.verification.chunkRows,
        onFound: (found: readonly NewMismatch[]) => this.#reports.report(found),
      };
      const outcome = await new ChunkWork(options, taken, signal).run();
      if (outcome.kind === 'not judged') await this.#hold(taken, outcome.hold, outcome.hold.state === 'not verifiable');
      if (outcome.kind === 'crowded') onDue(await this.#runs.cut(chunk, this.#worker, outcome.at));
      if (outcome.kind === 'done') this.#metrics.verified(run.source, chunk, outcome.counts);
      if (outcome.kind === 'done' || outcome.kind === 'begun again') {
        onDue(outcome.due);
        if (outcome.due.length === 0) await this.#reportEnd(run.id);
      }
    } catch (error) {
      if (this.#signal.aborted || isAbort(error)) {
        await this.#runs.release(chunk.id, this.#worker);
        return;
      }
      const hold = holdOfError(error);
      await this.#hold(taken, hold, hold.state !== 'waiting');
    } finally {
      clearInterval(prolonging);
    }
  }

  async #hold({ chunk, run, table }: TakenChunk, hold: Omit<TableHold, 'sinceMs'>, isFinal: boolean): Promise<void> {
    this.#metrics.held(run.source, chunk, hold.state);
    const { waitLimitMs } = this.#config.verification;
    const now = Date.now();
    if (isFinal || (table.hold !== null && now - table.hold.sinceMs >= waitLimitMs)) {
      const { source } = run;
      const { database, sink } = chunk;
      this.#logger.warn('a table could not be verified', {
        run: run.id,
        source,
        database,
        table: chunk.table,
        sink,
        ...hold,
      });
      await this.#runs.giveUp(chunk, this.#worker, hold);
      await this.#reportEnd(run.id);
      return;
    }
    const delayMs = Math.min(FIRST_DELAY_MS * 2 ** Math.min(chunk.attempts - 1, 10), MOST_DELAY_MS);
    await this.#runs.postpone(chunk, this.#worker, hold, now + delayMs);
  }

  async #reportEnd(runId: string): Promise<void> {
    const run = await this.#runs.find(runId);
    if (run?.endedAtMs == null) return;
    const { id, source, state, trigger, createdAtMs, endedAtMs, error } = run;
    const seconds = (endedAtMs - createdAtMs) / 1000;
    this.#logger.info('a verification has ended', { run: id, source, state, trigger, seconds, error });
  }
}
