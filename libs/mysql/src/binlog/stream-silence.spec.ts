import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { type SessionState } from '../silence-watch.ts';
import { StreamSilence } from './stream-silence.ts';

const SILENCE_MS = 1000;
let silences: number;
let answer: PromiseWithResolvers<SessionState>;
let questions: number;
let watch: StreamSilence;

beforeEach(() => {
  jest.useFakeTimers();
  silences = questions = 0;
  watch = new StreamSilence({
    silenceMs: SILENCE_MS,
    isListening: () => true,
    askWhileSeeking: () => {
      questions++;
      answer = Promise.withResolvers();
      return answer.promise;
    },
    onSilence: () => {
      silences++;
    },
  });
});
afterEach(() => {
  watch.stop();
  jest.useRealTimers();
});

test('a server that seeks is asked, and once it is dead the stream ends', async () => {
  await jest.advanceTimersByTimeAsync(2 * SILENCE_MS);
  expect(questions).toBe(1);
  answer.resolve('working');
  await jest.advanceTimersByTimeAsync(2 * SILENCE_MS);
  expect([questions, silences]).toEqual([2, 0]);
  answer.resolve('dead');
  await jest.advanceTimersByTimeAsync(0);
  expect(silences).toBe(1);
});

test('I8: what came while the server was asked outweighs the answer', async () => {
  await jest.advanceTimersByTimeAsync(2 * SILENCE_MS);
  watch.sawBytes();
  answer.resolve('dead');
  await jest.advanceTimersByTimeAsync(0);
  expect(silences).toBe(0);
});
