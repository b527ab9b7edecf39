import { afterEach, describe, expect, it } from '@jest/globals';

import { DittoError, silentLogger } from '#kernel';

import { MemoryConfirmedEnds } from '../test/memory-confirmed-ends.ts';
import { ConfirmedEnds, type ConfirmedEndsOptions } from './confirmed-ends.ts';

const grant = { source: 'shop', owner: 'me', token: 1 };
const open: ConfirmedEnds[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((ends) => ends.close()));
});

/** Brokers: ends by topic and partition. */
type Brokers = Map<string, number[]>;

interface World {
  readonly ends: ConfirmedEnds;
  readonly lost: DittoError[];
}

function create(store: MemoryConfirmedEnds, brokers: Brokers, options: Partial<ConfirmedEndsOptions> = {}): World {
  const reader = {
    findEnds: (topics: readonly string[]) =>
      Promise.resolve(new Map([...brokers].filter(([topic]) => topics.includes(topic)))),
  };
  const ends = new ConfirmedEnds({ grant, store, reader, logger: silentLogger, saveMs: 5, checkMs: 5, ...options });
  open.push(ends);
  return { ends, lost: [] };
}

async function start({ ends, lost }: World): Promise<void> {
  await ends.open((error) => void lost.push(error));
}

const confirmedLost = { code: 'DITTO_KAFKA_CONFIRMED_LOST', retriable: false };

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('ConfirmedEnds', () => {
  it('I1: a batch that lands below what was confirmed is a loss, recorded and kept beyond a restart', async () => {
    const store = new MemoryConfirmedEnds();
    const brokers: Brokers = new Map([['t', [15, 100]]]);
    const first = create(store, brokers, { checkMs: 60_000 });
    await start(first);
    expect(first.ends.confirm('t', 0, 10, 10)).toBeUndefined();
    expect(first.ends.confirm('t', 1, 90, 10)).toBeUndefined();
    store.failures.push(new DittoError('DITTO_STATE_UNAVAILABLE', 'down', { retriable: true }));
    await expect(first.ends.confirm('t', 0, 14, 1)).rejects.toMatchObject(confirmedLost);
    expect(store.losses).toEqual([{ topic: 't', partition: 0, confirmedEnd: 20, survivingEnd: 14 }]);
    // others have written since: the brokers show no loss any more
    brokers.set('t', [500, 500]);
    await expect(start(create(store, brokers))).rejects.toMatchObject(confirmedLost);
  });

  it('a broker that only forgot the producer has lost nothing', async () => {
    const store = new MemoryConfirmedEnds();
    const { ends } = create(store, new Map([['t', [20]]]), { checkMs: 60_000 });
    await start({ ends, lost: [] });
    void ends.confirm('t', 0, 0, 20);
    await ends.verify('t', 0);
    expect(store.losses).toEqual([]);
  });

  it('looks at all partitions when one has lost something', async () => {
    const store = new MemoryConfirmedEnds();
    const brokers: Brokers = new Map();
    brokers.set('t', [15, 7]).set('u', [5]);
    const { ends } = create(store, brokers, { checkMs: 60_000 });
    await start({ ends, lost: [] });
    void ends.confirm('t', 0, 0, 20);
    void ends.confirm('t', 1, 0, 9);
    void ends.confirm('u', 0, 0, 5);
    await expect(ends.verify('t', 0)).rejects.toMatchObject(confirmedLost);
    expect(store.losses).toEqual([
      { topic: 't', partition: 0, confirmedEnd: 20, survivingEnd: 15 },
      { topic: 't', partition: 1, confirmedEnd: 9, survivingEnd: 7 },
    ]);
  });

  it('notices a quiet partition that was cut, while it runs and when it starts', async () => {
    const store = new MemoryConfirmedEnds();
    const brokers: Brokers = new Map([['t', [20]]]);
    const running = create(store, brokers);
    await start(running);
    void running.ends.confirm('t', 0, 0, 20);
    await until(() => store.ends.length > 0);
    brokers.set('t', [19]);
    await until(() => running.lost.length > 0);
    expect(running.lost).toMatchObject([confirmedLost]);
    store.losses = [];
    await expect(start(create(store, brokers))).rejects.toMatchObject(confirmedLost);
    expect(store.losses).toEqual([{ topic: 't', partition: 0, confirmedEnd: 20, survivingEnd: 19 }]);
  });

  it('a deleted topic is a loss once it is to be used again, and none of a table that is gone', async () => {
    const store = new MemoryConfirmedEnds();
    store.ends = [
      { topic: 'gone', partition: 0, end: 5 },
      { topic: 't', partition: 1, end: 7 },
    ];
    const { ends } = create(store, new Map([['other', [1]]]));
    await start({ ends, lost: [] });
    await ends.use('other');
    await expect(ends.use('t')).rejects.toMatchObject(confirmedLost);
    expect(store.losses).toEqual([{ topic: 't', partition: 1, confirmedEnd: 7, survivingEnd: 0 }]);
  });

  it('I1: a deleted topic is a loss too when the brokers could not be asked at first', async () => {
    const store = new MemoryConfirmedEnds();
    store.ends = [{ topic: 't', partition: 0, end: 5 }];
    let isDown = false;
    const down = new DittoError('DITTO_KAFKA_UNAVAILABLE', 'down', { retriable: true });
    const findEnds = (): Promise<ReadonlyMap<string, readonly number[]>> =>
      isDown ? Promise.reject(down) : Promise.resolve(new Map());
    const { ends } = create(store, new Map(), { reader: { findEnds }, checkMs: 60_000 });
    await start({ ends, lost: [] });
    isDown = true;
    await expect(ends.use('t')).rejects.toBe(down);
    isDown = false;
    await expect(ends.use('t')).rejects.toMatchObject(confirmedLost);
  });

  it('keeps what has grown, when the store could not take it at first, and when it is closed', async () => {
    const store = new MemoryConfirmedEnds();
    const { ends } = create(store, new Map([['t', [20]]]));
    await start({ ends, lost: [] });
    store.failures.push(new DittoError('DITTO_STATE_UNAVAILABLE', 'down', { retriable: true }));
    void ends.confirm('t', 0, 0, 3);
    await until(() => store.ends.length > 0);
    void ends.confirm('t', 0, 3, 4);
    await ends.close();
    expect(store.ends).toEqual([{ topic: 't', partition: 0, end: 7 }]);
  });
});
