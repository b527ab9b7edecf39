import { expect, test } from '@jest/globals';
import { CheckpointWatch, findPercentile, MirrorWatch } from './watches.ts';

test('I3: a version that decreases is found, one that comes again is not', async () => {
  const watch = new MirrorWatch('mongodb://127.0.0.1:1/');
  for (const version of ['01', '02', '02', '01']) watch.note('orders 7', version);
  watch.note('orders 8', '01');
  expect(watch.failures).toEqual(['the mirror went back: orders 7 from 02 to 01']);
  expect(watch.comparisons).toBe(3);
  await watch.end();
});

test('I5: a checkpoint with an old token is found once a newer one was granted, and so is one that goes back', () => {
  const watch = new CheckpointWatch('mysql://127.0.0.1:1');
  const note = (newestToken: number, token: number, version: string): void =>
    watch.note({ name: 'commit', newestToken, token, version } as Parameters<CheckpointWatch['note']>[0]);
  note(1, 1, '01');
  note(1, 1, '02');
  note(2, 1, '03'); // before the grant, as far as can be seen
  note(2, 2, '04');
  expect(watch.failures).toEqual([]);
  note(3, 2, '04');
  note(3, 2, '05');
  expect(watch.failures).toEqual([
    'a checkpoint of commit from a stale owner: version 04, token 2 of 3, then version 05, token 2 of 3',
  ]);
  note(3, 3, '04');
  expect(watch.failures[1]).toMatch(/^the checkpoint of commit went back/);
});

test('a percentile is the bound below which that share of all values is', () => {
  const counts = new Map([
    [0.1, 90],
    [1, 99],
    [10, 100],
    [Infinity, 100],
  ]);
  expect([0.5, 0.99, 0.999].map((share) => findPercentile(counts, share))).toEqual([0.1, 1, 10]);
});
