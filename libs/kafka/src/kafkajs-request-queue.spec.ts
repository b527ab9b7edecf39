import { createRequire } from 'node:module';

import { afterEach, beforeEach, expect, it, jest } from '@jest/globals';

import { lookOnlyForWaitingRequests } from './kafkajs-request-queue.ts';

interface Queue {
  push(request: object): void;
  fulfillRequest(answer: object): void;
  maybeThrottle(ms: number): void;
  destroy(): void;
}

const Queue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as new (options: object) => Queue;
const logger = { debug: jest.fn(), warn: jest.fn() };
let queue: Queue;
let sent: number[];

beforeEach(() => {
  lookOnlyForWaitingRequests();
  jest.useFakeTimers();
  queue = new Queue({ maxInFlightRequests: 1, requestTimeout: 1000, clientId: '', broker: '', logger });
  sent = [];
});

afterEach(() => {
  queue.destroy();
  jest.useRealTimers();
});

function push(correlationId: number): void {
  const entry = { correlationId, resolve: jest.fn(), reject: jest.fn() };
  queue.push({ entry, expectResponse: true, sendRequest: () => sent.push(correlationId) });
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
