import { describe, expect, it } from '@jest/globals';
import { renderAudit } from './render-audit.ts';

const AT_MS = Date.UTC(2026, 1, 3, 4, 5, 6, 7);

describe('ditto audit', () => {
  it('shows a line for each entry, how often it was done, and how to get older ones', () => {
    const entry = { atMs: AT_MS, lastAtMs: AT_MS, repeats: 1, actor: 'alice', action: 'source.move', source: 'eu' };
    const repeated = { ...entry, lastAtMs: AT_MS + 60_000, repeats: 7, actor: 'dcs', action: 'lease.grant' };
    const entries = [
      { ...repeated, details: { token: 9 } },
      { ...entry, details: { to: 'b' } },
    ];
    expect(renderAudit(JSON.stringify({ entries, next: '17' })).split('\n')).toEqual([
      '2026-02-03T04:06:06Z  dcs    lease.grant  eu  {"token":9}  (7 times since 2026-02-03T04:05:06Z)',
      '2026-02-03T04:05:06Z  alice  source.move  eu  {"to":"b"}',
      'There are older ones: --after 17',
    ]);
    expect(renderAudit(JSON.stringify({ entries: [], next: null }))).toBe('There is no such entry.');
  });
});
