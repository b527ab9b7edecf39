import { createRequire } from 'node:module';

import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';

import { lookOnlyForLateRequests, lookOnlyForWaitingRequests } from './kafkajs-request-queue.ts';

interface Queue {
  push(request: object): void;
  fulfillRequest(answer: object): void;
  maybeThrottle(ms: number): void;
  scheduleRequestTimeoutCheck(): void;
  destroy(): void;
}

const Queue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as new (options: object) => Queue;
const logger = { debug: jest.fn(), warn: jest.fn() };
const isConnected = jest.fn(() => true);
let queue: Queue;
let sent: number[];

beforeEach(() => {
  lookOnlyForWaitingRequests();
  lookOnlyForLateRequests();
  jest.useFakeTimers();
  isConnected.mockReset().mockReturnValue(true);
  const options = { maxInFlightRequests: 1, requestTimeout: 1000, enforceRequestTimeout: true, isConnected };
  queue = new Queue({ ...options, clientId: '', broker: '', logger });
  sent = [];
});

afterEach(() => {
  queue.destroy();
  jest.useRealTimers();
});

/** What is called when the request fails. */
function push(correlationId: number): jest.Mock {
  const entry = { correlationId, resolve: jest.fn(), reject: jest.fn() };
  queue.push({ entry, expectResponse: true, sendRequest: () => sent.push(correlationId) });
  return entry.reject;
}

it('sets no timer while no request waits', () => {
  push(1);
  queue.fulfillRequest({ correlationId: 1, payload: null, size: 0 });
  expect(jest.getTimerCount()).toBe(0);
  expect(sent).toEqual([1]);
});

it('sends what waits once an answer has come, and once the broker takes requests again', () => {
  push(1);
  push(2);
  expect([sent, jest.getTimerCount()]).toEqual([[1], 1]);
  queue.maybeThrottle(500);
  queue.fulfillRequest({ correlationId: 1, payload: null, size: 0 });
  jest.advanceTimersByTime(499);
  expect(sent).toEqual([1]);
  jest.advanceTimersByTime(20);
  expect(sent).toEqual([1, 2]);
  queue.fulfillRequest({ correlationId: 2, payload: null, size: 0 });
  expect(jest.getTimerCount()).toBe(0);
});

it('a request that is not answered fails when its time is over, though it is seldom looked for', () => {
  queue.scheduleRequestTimeoutCheck();
  jest.advanceTimersByTime(60_400);
  expect(isConnected.mock.calls.length).toBeLessThanOrEqual(60);
  const reject = push(1);
  jest.advanceTimersByTime(1000);
  expect(reject).not.toHaveBeenCalled();
  jest.advanceTimersByTime(2);
  expect(reject).toHaveBeenCalledTimes(1);
  push(2);
  expect(sent).toEqual([1, 2]);
});

it('nothing is looked for once the connection has ended', () => {
  queue.scheduleRequestTimeoutCheck();
  isConnected.mockReturnValue(false);
  jest.advanceTimersByTime(1001);
  expect(jest.getTimerCount()).toBe(0);
});
