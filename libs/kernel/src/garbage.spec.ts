import { afterEach, expect, it } from '@jest/globals';
import { collectGarbageBy, collectYoung, dropWide } from './garbage.ts';

const MEBIBYTE = 1024 * 1024;

afterEach(() => collectGarbageBy(() => undefined));

it('I9: garbage of wide rows is collected each time that there are 16 MiB of it, in the next turn; garbage of other rows is not', async () => {
  let collected = 0;
  collectGarbageBy(() => collected++);
  for (let row = 0; row < 1_000; row++) await dropWide(MEBIBYTE);
  await dropWide(15 * MEBIBYTE);
  expect(collected).toBe(0);
  const last = dropWide(MEBIBYTE + 1);
  expect(collected).toBe(0);
  await last;
  expect(collected).toBe(1);
  await dropWide(15 * MEBIBYTE);
  expect(collected).toBe(1);
  await dropWide(20 * MEBIBYTE);
  expect(collected).toBe(2);
});

it('collects the young generation when it is asked to, and nothing where nobody has said how', () => {
  const collected: string[] = [];
  collectGarbageBy(
    () => collected.push('all'),
    () => collected.push('young'),
  );
  collectYoung();
  expect(collected).toEqual(['young']);
  collectGarbageBy(() => collected.push('all'));
  collectYoung();
  expect(collected).toEqual(['young']);
});
