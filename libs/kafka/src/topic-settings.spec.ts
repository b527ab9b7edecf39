import { describe, expect, it } from '@jest/globals';

import { DittoError } from '#kernel';

import { KAFKA_ERROR_CODES } from './kafka-errors.ts';
import { readTopicSettings } from './topic-settings.ts';

const TOPICS = Array.from({ length: 40 }, (_, i) => `t${i}`);

/** Brokers that refuse a request for all of its topics when one is denied; each takes a second. */
class Brokers {
  readonly asked: number[] = [];
  readonly #denied: readonly string[];
  nowMs = 0;

  constructor(denied: readonly string[]) {
    this.#denied = denied;
  }

  read(mostMs = Infinity): ReturnType<typeof readTopicSettings> {
    return readTopicSettings({
      topics: TOPICS,
      mostMs,
      nowMs: () => this.nowMs,
      describe: (topics) => {
        this.asked.push(topics.length);
        this.nowMs += 1000;
        return topics.some((topic) => this.#denied.includes(topic))
          ? Promise.reject(new DittoError(KAFKA_ERROR_CODES.unauthorized, 'denied'))
          : Promise.resolve(new Map(topics.map((topic) => [topic, new Map([['of', topic]])])));
      },
    });
  }
}

describe('the settings of topics', () => {
  it('are read at once where the user may see them', async () => {
    const brokers = new Brokers([]);
    const { known, unasked } = await brokers.read();
    expect([[...known.keys()], unasked, brokers.asked]).toEqual([TOPICS, [], [40]]);
    expect(known.get('t7')).toEqual(new Map([['of', 't7']]));
  });

  it('are known of all others where the user may not see those of a topic', async () => {
    const brokers = new Brokers(['t7', 't30']);
    const { known, unasked } = await brokers.read();
    expect([...known.keys()]).toEqual(TOPICS.filter((topic) => topic !== 't7' && topic !== 't30'));
    expect(unasked).toEqual([]);
    expect(brokers.asked.length).toBeLessThan(25);
  });

  it('are not asked for after some time', async () => {
    const { known, unasked } = await new Brokers(TOPICS).read(10_000);
    expect(known.size).toBe(0);
    expect(unasked.length).toBeGreaterThan(0);
    expect(unasked).toEqual(TOPICS.slice(-unasked.length));
  });

  it('fail for another reason', async () => {
    const broken = new DittoError(KAFKA_ERROR_CODES.unavailable, 'away');
    const reading = readTopicSettings({ topics: TOPICS, mostMs: 1000, describe: () => Promise.reject(broken) });
    await expect(reading).rejects.toMatchObject({ code: KAFKA_ERROR_CODES.unavailable });
  });
});
