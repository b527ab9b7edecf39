import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DittoError, silentLogger } from '#kernel';
import { LaneSet, type LaneSetOptions } from './lane-set.ts';

interface Entry {
  readonly bytes: number;
  readonly lane: number;
  readonly number: number;
}

const down = new DittoError('DITTO_TEST_DOWN', 'the server is down', { retriable: true });
const refused = new DittoError('DITTO_TEST_REFUSED', 'the server refuses');

function lanes(options: Partial<LaneSetOptions<Entry>> & Pick<LaneSetOptions<Entry>, 'deliver'>): LaneSet<Entry> {
  const backoff = { initialMs: 1, maxMs: 1 };
  const onFatal = (error: Error): never => {
    throw error;
  };
  return new LaneSet({ maxBatchBytes: 10, maxBatchEntries: 4, backoff, logger: silentLogger, onFatal, ...options });
}

const never = new AbortController().signal;

describe('LaneSet', () => {
  it('I2: entries of a lane are delivered in order, one batch at a time, whatever fails and is tried again', async () => {
    const pushes = fc.array(fc.record({ lane: fc.nat(3), bytes: fc.integer({ min: 1, max: 12 }) }), {
      maxLength: 80,
      size: 'max',
    });
    await fc.assert(
      fc.asyncProperty(pushes, fc.array(fc.boolean(), { maxLength: 40 }), async (plan, failures) => {
        const delivered = new Map<number, number[]>();
        const busy = new Set<number>();
        let call = 0;
        const set = lanes({
          deliver: async (lane, entries) => {
            expect(busy.has(lane)).toBe(false);
            expect(entries.length).toBeLessThanOrEqual(4);
            expect(entries.length === 1 || entries.reduce((sum, { bytes }) => sum + bytes, 0) <= 10).toBe(true);
            busy.add(lane);
            await new Promise((resolve) => setImmediate(resolve));
            busy.delete(lane);
            if (failures[call++] === true) throw down;
            delivered.set(lane, [...(delivered.get(lane) ?? []), ...entries.map(({ number }) => number)]);
          },
        });
        for (const [number, { lane, bytes }] of plan.entries()) {
          set.push(lane, { lane, bytes, number });
          if (number % 3 === 0) set.flush();
        }
        await set.drain(never);
        for (const lane of [0, 1, 2, 3])
          expect(delivered.get(lane) ?? []).toEqual(
            plan.flatMap((entry, number) => (entry.lane === lane ? [number] : [])),
          );
        expect([set.bytesInFlight, set.entriesInFlight, set.holdingBecause]).toEqual([0, 0, null]);
      }),
      { numRuns: 60 },
    );
  });

  it('says why it holds while a delivery fails, and counts the retries', async () => {
    let open = false;
    const set = lanes({ deliver: () => (open ? Promise.resolve() : Promise.reject(down)) });
    set.push(0, { bytes: 1, lane: 0, number: 0 });
    set.flush();
    while (set.retries < 3) await new Promise((resolve) => setImmediate(resolve));
    expect(set.holdingBecause).toMatch(/^DITTO_TEST_DOWN: the server is down \(since \d{4}-.*Z\)$/);
    open = true;
    await set.drain(never);
    expect(set.holdingBecause).toBeNull();
  });

  it('I9: a lane that waits to try again does not hold the error: there may be thousands of both', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const errors: WeakRef<DittoError>[] = [];
    const set = lanes({
      backoff: { initialMs: 60_000, maxMs: 60_000 },
      deliver: () => {
        const error = new DittoError('DITTO_TEST_DOWN', 'down', { retriable: true });
        errors.push(new WeakRef(error));
        return Promise.reject(error);
      },
    });
    for (let lane = 0; lane < 50; lane++) set.push(lane, { lane, bytes: 1, number: 0 });
    set.flush();
    while (set.retries < 50) await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(errors.filter((error) => error.deref() !== undefined)).toEqual([]);
    set.close();
  });

  it('reports lanes that hold in one line with their number, and again once none did in between', async () => {
    const lines: unknown[] = [];
    let wanted = 1;
    const logger = { ...silentLogger, warn: (message: string, fields: unknown) => void lines.push([message, fields]) };
    const set = lanes({
      logger,
      deliver: () => (lines.length >= wanted ? Promise.resolve() : Promise.reject(down)),
    });
    const fields = { lanes: 1000, code: 'DITTO_TEST_DOWN', error: 'the server is down' };
    const line = ['holding: delivery failed, trying again', fields];
    for (; wanted <= 2; wanted++) {
      for (let lane = 0; lane < 1000; lane++) set.push(lane, { bytes: 1, lane, number: lane });
      await set.drain(never);
      expect(lines).toEqual(Array.from({ length: wanted }, () => line));
    }
  });

  it('I6: an error that waiting does not heal is given on once, and nothing is delivered after it', async () => {
    const fatal: string[] = [];
    let deliveries = 0;
    const set = lanes({
      deliver: () => {
        deliveries++;
        return Promise.reject(refused);
      },
      onFatal: ({ code }) => fatal.push(code),
    });
    set.push(0, { bytes: 1, lane: 0, number: 0 });
    set.push(1, { bytes: 1, lane: 1, number: 1 });
    await expect(set.drain(never)).rejects.toThrow('the server refuses');
    set.push(2, { bytes: 1, lane: 2, number: 2 });
    set.flush();
    await new Promise((resolve) => setImmediate(resolve));
    expect(fatal).toEqual(['DITTO_TEST_REFUSED']);
    expect(deliveries).toBeLessThanOrEqual(2);
    expect(set.entriesInFlight).toBe(3);
  });

  it('gives up a drain when it is asked to', async () => {
    const set = lanes({ deliver: () => Promise.reject(down) });
    set.push(0, { bytes: 1, lane: 0, number: 0 });
    const stop = new AbortController();
    const drained = set.drain(stop.signal);
    stop.abort(new Error('enough'));
    await expect(drained).rejects.toThrow('enough');
    set.close();
  });

  it('leaves nothing on a signal that outlives many drains, and refuses to wait once it is closed', async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const set = lanes({ deliver: () => new Promise((resolve) => setImmediate(resolve)) });
    for (let round = 0; round < 3; round++) {
      set.push(0, { lane: 0, bytes: 1, number: round });
      await set.drain(signal);
    }
    expect(listeners).toBe(0);
    set.push(0, { lane: 0, bytes: 1, number: 9 });
    set.close();
    await expect(set.drain(signal)).rejects.toMatchObject({ code: 'DITTO_REPLICATION_CLOSED' });
  });

  it('I5: once delivery is no longer allowed, what is queued stays where it is, and that is reported once', async () => {
    let allowed = true;
    let deliveries = 0;
    const told: DittoError[] = [];
    const set = lanes({
      deliver: async () => {
        deliveries++;
        await new Promise((resolve) => setImmediate(resolve));
        allowed = false;
      },
      onFatal: (error) => {
        told.push(error);
        // a renewal that was under way comes back: too late for these entries
        allowed = true;
      },
    });
    set.guardWith(() => allowed);
    for (let number = 0; number < 20; number++) set.push(number % 2, { bytes: 6, lane: number % 2, number });
    set.flush();
    await expect(set.drain(never)).rejects.toMatchObject({ code: 'DITTO_LEASE_LOST', retriable: true });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(deliveries).toBe(2);
    expect(set.entriesInFlight).toBe(18);
    expect(told.map(({ code }) => code)).toEqual(['DITTO_LEASE_LOST']);
  });

  it('I5: each delivery, a repeated one too, comes right after a yes; after the first no there is none', async () => {
    const plan = fc.record({
      entries: fc.integer({ min: 1, max: 12 }),
      failures: fc.array(fc.boolean(), { maxLength: 20, size: 'max' }),
      lanes: fc.integer({ min: 1, max: 3 }),
      yeses: fc.nat(15),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ entries, failures, lanes: count, yeses }) => {
        const log: string[] = [];
        const fatal: string[] = [];
        let calls = 0;
        const set = lanes({
          deliver: async () => {
            log.push('deliver');
            await new Promise((resolve) => setImmediate(resolve));
            if (failures[calls++] === true) throw down;
          },
          onFatal: ({ code }) => fatal.push(code),
        });
        let asked = 0;
        set.guardWith(() => {
          const isYes = asked++ < yeses;
          log.push(isYes ? 'yes' : 'no');
          return isYes;
        });
        for (let number = 0; number < entries; number++)
          set.push(number % count, { lane: number % count, bytes: 10, number });
        const ended = await set.drain(never).then(
          () => 'drained',
          (error: unknown) => (error as DittoError).code,
        );
        await new Promise((resolve) => setImmediate(resolve));
        const isLost = log.includes('no');
        const asks = log.filter((step) => step !== 'deliver');
        expect(log.slice(0, isLost ? -1 : undefined)).toEqual(asks.slice(0, yeses).flatMap(() => ['yes', 'deliver']));
        expect([ended, fatal]).toEqual(isLost ? ['DITTO_LEASE_LOST', ['DITTO_LEASE_LOST']] : ['drained', []]);
        expect(set.entriesInFlight === 0).toBe(!isLost);
      }),
      { numRuns: 60 },
    );
  });
});
