import { describe, expect, it } from '@jest/globals';
import { DittoError, silentLogger } from '#kernel';
import { type AuditEntry, type Notice } from '#platform';
import { SourceJournal } from './source-journal.ts';

/** The state database is away for so many attempts. */
function keep(downFor: number): { journal: SourceJournal; entries: AuditEntry[]; notices: Notice[]; stop: () => void } {
  const entries: AuditEntry[] = [];
  const notices: Notice[] = [];
  const stop = new AbortController();
  let attempts = 0;
  const record = (entry: AuditEntry): Promise<void> => {
    if (++attempts <= downFor)
      return Promise.reject(new DittoError('DITTO_STATE_UNAVAILABLE', 'down', { retriable: true }));
    entries.push(entry);
    return Promise.resolve();
  };
  const journal = new SourceJournal({
    ...{ source: 'eu', instance: 'a', audit: { record }, logger: silentLogger, signal: stop.signal },
    notifier: { notify: (notice) => void notices.push(notice) },
  });
  return { journal, entries, notices, stop: () => stop.abort() };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe('SourceJournal', () => {
  it('an entry of the audit log is tried on while the state database is away, with the time of what was done', async () => {
    const { journal, entries } = keep(2);
    const beganMs = Date.now();
    journal.moved({ to: 'b', askedBy: null });
    const doneMs = Date.now();
    await until(() => entries.length === 1);
    expect(entries).toMatchObject([
      { actor: 'dss', action: 'source.moved', subject: 'eu', details: { from: 'a', to: 'b' } },
    ]);
    expect(entries[0]?.atMs).toBeGreaterThanOrEqual(beganMs);
    expect(entries[0]?.atMs).toBeLessThanOrEqual(doneMs);
  });

  it('also writes what is done while the process ends', async () => {
    const { journal, entries, stop } = keep(0);
    stop();
    journal.moved({ to: 'b', askedBy: 'alice' });
    await until(() => entries.length === 1);
    expect(entries[0]?.actor).toBe('alice');
  });

  it('says that the log may be purged with one key within an hour', () => {
    const { journal, notices } = keep(0);
    const forecast = { leftMs: 1, behindBytes: 1, bytesPerSecond: 1, keptForMs: 1, keptBytes: null };
    journal.purgeIsNear(forecast);
    expect(notices).toMatchObject([
      { event: 'source.purge-near', source: 'eu', uniqueKey: expect.stringMatching(/"eu",\d+/) },
    ]);
  });
});
