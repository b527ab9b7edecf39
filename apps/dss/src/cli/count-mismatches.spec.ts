import { expect, it } from '@jest/globals';
import { countMismatches } from './count-mismatches.ts';
import { type AskService } from './verify.ts';

it('mismatches are counted over all pages', async () => {
  const one = { database: 'shop', table: 'orders', sink: 'mongo' };
  const other = { ...one, sink: 'kafka' };
  const pages = [
    { mismatches: [one, other], next: '7' },
    { mismatches: [one], next: null },
  ];
  const asked: string[] = [];
  const ask: AskService = (method, path) => {
    asked.push(`${method} ${path}`);
    return Promise.resolve(pages[(asked.length - 1) % 2]);
  };
  expect(await countMismatches(ask, { source: 'eu', state: 'open' }, ({ sink }) => sink === 'mongo')).toBe(2);
  expect(asked).toEqual([
    'GET /mismatches?source=eu&state=open&limit=1000',
    'GET /mismatches?source=eu&state=open&limit=1000&after=7',
  ]);
  expect(await countMismatches(ask, {})).toBe(3);
});
