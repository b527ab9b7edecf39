import { expect, test } from '@jest/globals';
import { type ChaosReport, renderReport } from './report.ts';

const report: ChaosReport = {
  seed: 7,
  rounds: 2,
  faults: { 'kill primary': 2, cut: 3 },
  switches: [
    { way: 'commit', tookMs: 2_400, doubt: null, byItself: true, isHealed: false },
    { way: 'commit', tookMs: 9_000, doubt: null, byItself: true, isHealed: true },
    { way: 'replicated', tookMs: 3_100, doubt: null, byItself: true, isHealed: false },
    { way: 'replicated', tookMs: 60_000, doubt: null, byItself: false, isHealed: false },
  ],
  takeovers: [{ source: 'commit', isTaken: true, tookMs: 6_500, doubt: null }],
  transactions: 900,
  compared: { rows: 4_000, messages: 9_000, repeats: 12, differences: 0, outOfOrder: 0 },
  verified: { runs: 4, falseAlarms: 0 },
  memoryBytes: { dss: 200 * 1024 * 1024 },
  p99Seconds: { kafka: 2.5 },
  failures: [],
};

test('the report gives the seed, the share of switches without a person, the slowest, and what was sent more than once', () => {
  const text = renderReport(report).join('\n');
  expect(text).toContain('seed 7: 2 rounds, 5 faults, 900 transactions');
  expect(text).toContain(
    'commit: 2 primaries killed, 2 switches without a person (100 %), 1 of them by healing, 2.4 s at most where nothing was lost',
  );
  expect(text).toContain('replicated: 2 primaries killed, 1 switches without a person (50 %)');
  expect(text).toContain('takeover of a dead DSS: 1, 6.5 s at most');
  expect(text).toContain('lost or different 0, out of order 0, sent more than once 12');
  expect(text).toContain('kafka below 2.5 s');
  expect(text).toMatch(/✓ All held\.$/);
});

test('what did not hold is named, and what could not be timed', () => {
  const takeovers = [
    ...report.takeovers,
    { source: 'commit' as const, isTaken: true, tookMs: 30_000, doubt: 'the machine had no time' },
  ];
  const lines = renderReport({ ...report, takeovers, failures: ['the mirror went back: …'] });
  expect(lines).toContain('takeover of a dead DSS: 2, 6.5 s at most, 1 not timed: the machine had no time');
  expect(lines.slice(-2)).toEqual(['✗ the mirror went back: …', '✗ 1 did not hold.']);
});
