import { expect, it } from '@jest/globals';
import { sumRecent, toRecentReport } from './recent-board.ts';
import { type RecentStatus } from './recent-source.ts';

const idle: RecentStatus = { verified: 0, leftOut: 0, waiting: 0, behindMs: 0, holdingBecause: null };

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

it('says of a source that stands why, and of no other', () => {
  const statuses = new Map([
    ['eu', new Map([['mongo', idle]])],
    [
      'us',
      new Map([
        ['kafka', { ...idle, holdingBecause: 'away' }],
        ['mongo', idle],
      ]),
    ],
    ['asia', new Map([['mongo', idle]])],
  ]);
  const mirrors = { holdingBecause: (source: string) => (source === 'eu' ? 'no primary' : null) };
  const topics = { holdingBecause: (source: string) => (source === 'us' ? 'no broker' : null) };
  expect(toRecentReport(statuses, [topics, mirrors])).toEqual({
    eu: { mongo: { ...idle, holdingBecause: 'no primary' } },
    us: { kafka: { ...idle, holdingBecause: 'away' }, mongo: { ...idle, holdingBecause: 'no broker' } },
    asia: { mongo: idle },
  });
});
