import { describe, expect, it } from '@jest/globals';
import { defaultRepeatStrategy } from 'bullmq';
import fc from 'fast-check';
import { isCronExpression } from './cron-expression.ts';

describe('a cron expression', () => {
  it.each([
    ['* * * * *'],
    ['0 3 * * 0'],
    ['59 23 31 12 7'],
    ['*/15 0-6/2 1,15 JAN-mar,12 mon-FRI'],
    ['5/20 * * * *'],
    ['0 3 * * 0-7'],
    ['0 3 * * 5-7,mon'],
    ['0 3 * * */7'],
    ['0 0 29 2 *'],
    ['0 0 31 feb,mar *'],
  ])('%s', (text) => expect(isCronExpression(text)).toBe(true));
});

describe('not a cron expression', () => {
  it.each([
    ['', 'nothing'],
    ['0 3 * *', 'a field is missing'],
    ['0 0 3 * * 0', 'a field too many'],
    [' 0 3 * *', 'an empty field'],
    ['0 3  * *', 'an empty field'],
    ['60 3 * * *', 'no such minute'],
    ['0 24 * * *', 'no such hour'],
    ['0 3 0 * *', 'no such day'],
    ['0 3 32 * *', 'no such day'],
    ['0 3 * 13 *', 'no such month'],
    ['0 3 * * 8', 'no such weekday'],
    ['0 3 * mon *', 'a weekday as month'],
    ['0 jan * * *', 'a name where there is none'],
    ['0 3 30 2 *', 'a day that never comes'],
    ['0 3 31 4,jun *', 'a day that never comes'],
    ['5-1 * * * *', 'a range backwards'],
    ['*/0 * * * *', 'no step'],
    ['*/70 * * * *', 'a step above all values'],
    ['1, * * * *', 'a list without its end'],
    ['1-5,3 * * * *', 'a value twice'],
    ['0 3 * * 0,7', 'Sunday twice'],
    ['0 3 * * sun,7', 'Sunday twice'],
    ['0 3 * * 0,5-7', 'Sunday twice'],
    ['1.5 * * * *', 'a fraction'],
    ['-1 * * * *', 'below 0'],
    ['*-5 * * * *', 'a range without its begin'],
    ['0 3 L * *', 'what crontab does not know'],
    ['@daily', 'what is not five fields'],
    ['every day', 'words'],
  ])('%j: %s', (text) => expect(isCronExpression(text)).toBe(false));
});

const value = fc.oneof(
  fc.integer({ min: 0, max: 61 }).map(String),
  fc.constantFrom('*', 'jan', 'dec', 'sun', 'Sat', 'MON', '', '?'),
);
const weekday = fc.oneof(fc.integer({ min: 0, max: 7 }).map(String), fc.constantFrom('sun', 'Sat'));
const field = fieldOf(value, 70);

function fieldOf(one: fc.Arbitrary<string>, mostStep: number): fc.Arbitrary<string> {
  const part = fc.oneof(
    one,
    fc.tuple(one, one).map(([from, to]) => `${from}-${to}`),
    fc.tuple(one, fc.integer({ min: 0, max: mostStep })).map(([from, step]) => `${from}/${step}`),
  );
  return fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('*', '1') },
    {
      weight: 2,
      arbitrary: fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(',')),
    },
  );
}

it('the job queue of DWS finds the next time of each expression', () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.tuple(field, field, field, field, fc.oneof(field, fieldOf(weekday, 7))), (fields) => {
      const pattern = fields.join(' ');
      if (!isCronExpression(pattern)) return;
      accepted++;
      expect([pattern, defaultRepeatStrategy(0, { pattern, tz: 'UTC' })]).toEqual([pattern, expect.any(Number)]);
    }),
    { numRuns: 1000 },
  );
  expect(accepted).toBeGreaterThan(50);
});
