import { describe, expect, it } from '@jest/globals';
import { ProtocolError, ResponseError } from '@platformatic/kafka';

import { waitForProducerId } from './producer-id.ts';

function refusal(errorCode: number): ResponseError {
  return new ResponseError(22, 4, { '/': [errorCode, null] }, {});
}

const COORDINATOR_LOAD_IN_PROGRESS = 14;
const CLUSTER_AUTHORIZATION_FAILED = 31;

describe('waitForProducerId', () => {
  it('asks again while the broker waits for its next ids', async () => {
    const refusals = [refusal(COORDINATOR_LOAD_IN_PROGRESS), new ProtocolError(COORDINATOR_LOAD_IN_PROGRESS)];
    const identity = { producerId: 1000n, producerEpoch: 0 };
    const ask = () => {
      const refused = refusals.shift();
      return refused === undefined ? Promise.resolve(identity) : Promise.reject(refused);
    };
    expect(await waitForProducerId(ask, 5_000)).toBe(identity);
    expect(refusals).toEqual([]);
  });

  it('gives up after its time, and at once with any other error', async () => {
    const asked = [0, 0];
    const waiting = refusal(COORDINATOR_LOAD_IN_PROGRESS);
    const denied = refusal(CLUSTER_AUTHORIZATION_FAILED);
    const refuse = (error: Error, index: number) => () => {
      asked[index] = (asked[index] ?? 0) + 1;
      return Promise.reject(error);
    };
    await expect(waitForProducerId(refuse(waiting, 0), 50)).rejects.toBe(waiting);
    await expect(waitForProducerId(refuse(denied, 1), 5_000)).rejects.toBe(denied);
    expect(asked[0]).toBeGreaterThan(1);
    expect(asked[1]).toBe(1);
  });
});
