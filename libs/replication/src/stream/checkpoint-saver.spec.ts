import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type Checkpoint, type StoredCheckpoint } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import { CheckpointSaver } from './checkpoint-saver.ts';
import { CheckpointStore } from '../ports/stores.ts';
import { SERVER } from '../../test/windowed-read-model.ts';

const down = new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true });
const fenced = new DittoError('DITTO_LEASE_FENCED', 'somebody else owns it');

/** Takes what it is given, or answers with the next error. */
class AnsweringStore extends CheckpointStore {
  readonly saved: Checkpoint[] = [];
  readonly answers: (DittoError | null)[] = [];
  asked = 0;
  onAsked: () => void = () => undefined;

  load(): Promise<StoredCheckpoint | null> {
    return Promise.resolve(null);
  }

  save(_grant: unknown, checkpoint: Checkpoint): Promise<void> {
    this.asked++;
    this.onAsked();
    const answer = this.answers.shift() ?? null;
    if (answer !== null) return Promise.reject(answer);
    this.saved.push(checkpoint);
    return Promise.resolve();
  }
}

function checkpointAt(confirmed: number, dispatched: number, prepared = 0): Checkpoint {
  const gtidSet = confirmed === 0 ? '' : `${SERVER}:1-${confirmed}`;
  return {
    source: 's',
    lineage: 1,
    position: { gtidSet, file: 'binlog.000001', offset: confirmed * 100, serverUuid: SERVER },
    dispatchedSet: `${SERVER}:1-${confirmed + dispatched}`,
    undecidedSet: prepared === 0 ? '' : `${SERVER}:1000-${999 + prepared}`,
    version: `v${confirmed}`,
    commitMicros: confirmed,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: 0,
  };
}

function build(
  store: CheckpointStore,
  checkpoint: () => Checkpoint,
  { intervalMs = 1, warn = silentLogger.warn }: { intervalMs?: number; warn?: typeof silentLogger.warn } = {},
): CheckpointSaver {
  const grant = { source: 's', owner: 'o', token: 1 };
  return new CheckpointSaver({ grant, store, intervalMs, checkpoint, logger: { ...silentLogger, warn } });
}

describe('CheckpointSaver', () => {
  it('I1: whatever fails in between, each move is written once, and a store knows which of two came later', async () => {
    const steps = fc.array(
      fc.record({ confirms: fc.nat(2), dispatches: fc.nat(2), prepares: fc.nat(1), fails: fc.boolean() }),
      {
        minLength: 1,
        maxLength: 30,
        size: 'max',
      },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        const store = new AnsweringStore();
        let [confirmed, dispatched, prepared] = [0, 0, 0];
        const saver = build(store, () => checkpointAt(confirmed, dispatched, prepared));
        let written: unknown = null;
        for (const { confirms, dispatches, prepares, fails } of plan) {
          confirmed += confirms;
          dispatched += dispatches;
          prepared += prepares;
          const { position, dispatchedSet, undecidedSet } = checkpointAt(confirmed, dispatched, prepared);
          const isMoved = JSON.stringify({ position, dispatchedSet, undecidedSet }) !== JSON.stringify(written);
          const askedBefore = store.asked;
          if (fails) store.answers.push(down);
          const ended = await saver.save().catch((error: unknown) => error);
          expect(store.asked - askedBefore).toBe(isMoved ? 1 : 0);
          expect(ended).toBe(isMoved && fails ? down : undefined);
          store.answers.length = 0;
          if (isMoved && !fails) {
            written = { position, dispatchedSet, undecidedSet };
            expect(store.saved.at(-1)).toMatchObject({ position, dispatchedSet, undecidedSet });
          }
        }
        const ranks = store.saved.map(({ savedAtMs }) => savedAtMs);
        expect(ranks).toEqual([...new Set(ranks)].sort((a, b) => a - b));
      }),
      { numRuns: 100 },
    );
  });

  it('I5: a fenced write is the end of it: somebody else owns the source', async () => {
    const store = new AnsweringStore();
    store.answers.push(fenced);
    await expect(build(store, () => checkpointAt(1, 0)).run(new AbortController().signal)).rejects.toBe(fenced);
    expect(store.asked).toBe(1);
  });

  it('a store that is down is asked again at each turn, and that is logged once', async () => {
    const store = new AnsweringStore();
    store.answers.push(down, down, down);
    const warnings: string[] = [];
    const stop = new AbortController();
    const saver = build(store, () => checkpointAt(1, 0), { warn: (message) => void warnings.push(message) });
    const failures: number[] = [];
    store.onAsked = () => {
      failures.push(saver.failures);
      if (store.asked === 4) stop.abort();
    };
    await saver.run(stop.signal);
    expect(failures).toEqual([0, 1, 2, 3]);
    expect(store.saved).toHaveLength(1);
    expect(saver.failures).toBe(0);
    expect(warnings).toHaveLength(1);
  });

  it('I5: begins no write when it is to end in the moment in which one is due', async () => {
    const store = new AnsweringStore();
    const stop = new AbortController();
    // by the timer, before whoever waits for it gets to know
    const leave = stop.signal.removeEventListener.bind(stop.signal);
    stop.signal.removeEventListener = (...listener: Parameters<typeof leave>) => {
      leave(...listener);
      stop.abort();
    };
    await build(store, () => checkpointAt(1, 0)).run(stop.signal);
    expect(store.asked).toBe(0);
  });

  it('I5: writes nothing once it is to end: the caller that ends it decides whether a last write is right', async () => {
    const store = new AnsweringStore();
    const stop = new AbortController();
    const run = build(store, () => checkpointAt(1, 0), { intervalMs: 60_000 }).run(stop.signal);
    stop.abort();
    await run;
    expect(store.asked).toBe(0);
  });
});
