import { Backoff, retry } from '#kernel';

import { isWaitingForProducerIds } from './kafka-errors.ts';
import { type ProducerIdentity } from './partition-producer.ts';

/**
 * A broker gets its producer ids from the controller, in blocks of a thousand. While it waits for the next block, as it
 * does for the first after its start, it gives none.
 */
export function waitForProducerId(ask: () => Promise<ProducerIdentity>, waitMs: number): Promise<ProducerIdentity> {
  const deadline = performance.now() + waitMs;
  return retry(ask, {
    backoff: new Backoff({ initialMs: 20, maxMs: 200 }),
    isRetriable: (error) => isWaitingForProducerIds(error) && performance.now() < deadline,
  });
}
