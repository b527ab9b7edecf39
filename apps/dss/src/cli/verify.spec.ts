import { describe, expect, it } from '@jest/globals';
import { describeProgress, findExit, renderVerification, verify, type VerificationView } from './verify.ts';

const TABLE = {
  ...{ database: 'shop', table: 'orders', sink: 'mongo', phase: 'done', rows: 10, equal: 9, mismatches: 1, ignored: 0 },
  ...{
    unsettled: 0,
    quarantined: 0,
    secondWay: { rows: 4, mismatches: 0, ignored: 0, unsettled: 0 },
    listed: 10,
    hold: null,
  },
};
const RUN: VerificationView = {
  ...{ id: 'r1', state: 'done', error: null, createdAtMs: 0, endedAtMs: 2500, tables: 1, doneTables: 1, notJudged: 0 },
  ...{
    rows: 10,
    mismatches: 0,
    ignored: 0,
    unsettled: 0,
    quarantined: 0,
    estimatedRows: 20,
    rate: 4,
    remainingMs: null,
  },
  secondWay: { rows: 4, mismatches: 0, ignored: 0, unsettled: 0 },
  details: [TABLE],
};

describe('the end of verify', () => {
  it.each([
    [0, 'all is equal', {}, {}],
    [1, 'rows differ', { mismatches: 1 }, {}],
    [1, 'rows differ by the second way', { secondWay: { rows: 4, mismatches: 1, ignored: 0, unsettled: 0 } }, {}],
    [1, 'rows differ that were known', {}, { open: 3 }],
    [0, 'all that differs is ignored', { mismatches: 2, ignored: 2 }, {}],
    [
      0,
      'all that differs by the second way is ignored',
      { secondWay: { ...RUN.secondWay, mismatches: 1, ignored: 1 } },
      {},
    ],
    [1, 'not all that differs is ignored', { mismatches: 3, ignored: 2 }, {}],
    [1, 'others are open', { mismatches: 2, ignored: 2 }, { open: 1 }],
    [2, 'a table could not be judged, whatever else differs', { notJudged: 1, mismatches: 1 }, {}],
    [2, 'rows are unsettled', { unsettled: 1 }, {}],
    [2, 'it failed', { state: 'failed' }, {}],
    [2, 'it was cancelled', { state: 'cancelled' }, {}],
  ])('is %i when %s', (exit, _what, run, known) => {
    expect(findExit({ ...RUN, ...run }, { open: 0, ...known })).toBe(exit);
  });
});

describe('verify', () => {
  it('begins a run, shows how far it is, and survives answers that are missing', async () => {
    const asked: unknown[] = [];
    const answers = [{ ...RUN, state: 'running', endedAtMs: null }, new Error('away'), RUN];
    const lines: string[] = [];
    const run = await verify({
      order: { source: 'eu', tables: ['shop.orders'] },
      ask: (...request) => {
        asked.push(request);
        const answer = answers.shift();
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
      onProgress: (line) => lines.push(line),
      pollMs: 1,
    });
    expect(run).toEqual(RUN);
    expect(asked).toEqual([
      ['POST', '/verifications', { source: 'eu', tables: ['shop.orders'] }],
      ['GET', '/verifications/r1'],
      ['GET', '/verifications/r1'],
    ]);
    expect(lines[0]).toMatch(/^\[#{10}\.{10}\] running: 10 rows of about 20, 4 a second; 1 of 1 tables$/);
  });

  it('shows why it waits', () => {
    const hold = { state: 'waiting', reason: 'no checkpoint' };
    const run = { ...RUN, state: 'waiting', details: [{ ...TABLE, hold }] };
    expect(describeProgress(run)).toContain('waiting (no checkpoint): ');
  });
});

it('the table has a line for each table and sink, and a summary', () => {
  const text = renderVerification({ ...RUN, mismatches: 4, ignored: 3, notJudged: 1 }, { open: 2 });
  expect(text).toMatch(/shop\.orders +mongo +10 +9 +1 +0 +0 +4 +0 +10/);
  expect(text).toContain('done after 2.5 s, 10 rows: 1 found to differ, 2 open');
  expect(text).toContain('3 that differ are ignored and do not count');
  expect(text).toContain('1 tables could not be judged');
  expect(text).toContain('4 rows also compared the second way, no difference');
  const known = { open: 0 };
  const disagreeing = renderVerification(
    { ...RUN, secondWay: { rows: 4, mismatches: 1, ignored: 0, unsettled: 0 } },
    known,
  );
  expect(disagreeing).toContain('1 found to differ, 0 open');
  expect(disagreeing).toContain('second way, 1 differ');
  expect(renderVerification(RUN, known)).toContain('no difference; 4 rows also');
});
