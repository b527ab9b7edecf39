import { expect, it } from '@jest/globals';
import { Outages } from './outages.ts';

it('an outage is one that has lasted for the time, at each try, for each source by itself', () => {
  let nowMs = 0;
  const outages = new Outages(() => nowMs);
  const at = (ms: number, source = 's'): boolean => {
    nowMs = ms;
    return outages.lasts(source, 1500);
  };
  expect([at(0), at(1000), at(1500), at(1500, 'other'), at(9000)]).toEqual([false, false, true, false, true]);
  outages.end('s');
  expect([at(10_000), at(11_600)]).toEqual([false, true]);
  // another instance has run it meanwhile
  expect([at(999_000), at(1_001_000)]).toEqual([false, true]);
});

it('a source whose server may not be away at all is reported at once', () => {
  expect(new Outages(() => 0).lasts('s', 0)).toBe(true);
});
