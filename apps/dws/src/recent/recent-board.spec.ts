import { expect, it } from '@jest/globals';
import { sumRecent } from './recent-board.ts';

const idle = { verified: 0, leftOut: 0, waiting: 0, behindMs: 0, holdingBecause: null };

it('sums up what all workers say of one source', () => {
  const services = [
    { service: 'dws' as const, details: { recent: { eu: { mongo: { ...idle, verified: 3, behindMs: 10 } } } } },
    {
      service: 'dws' as const,
      details: {
        recent: {
          eu: { mongo: { ...idle, verified: 4, leftOut: 1, behindMs: 5 }, kafka: { ...idle, holdingBecause: 'down' } },
          us: { mongo: { ...idle, verified: 100 } },
        },
      },
    },
    // of another release, and of a worker that does not verify so
    { service: 'dws' as const, details: { recent: { eu: { mongo: 7 } } } },
    { service: 'dws' as const, details: {} },
    { service: 'dss' as const, details: { recent: { eu: { mongo: { ...idle, verified: 100 } } } } },
  ];
  expect(sumRecent(services, 'eu')).toEqual([
    { ...idle, sink: 'kafka', workers: 1, holdingBecause: 'down' },
    { ...idle, sink: 'mongo', workers: 2, verified: 7, leftOut: 1, behindMs: 10 },
  ]);
  expect(sumRecent(services, 'none')).toEqual([]);
});
