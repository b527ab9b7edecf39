import { expect, it } from '@jest/globals';
import { type DittoConfig } from '#configuration';
import { type AuditLog } from '#platform';
import { type RunRecord, type RunTable, type VerificationRunStore } from '#verification';
import { type VerificationJobs } from '../verification/verification-jobs.ts';
import { type VerificationRuns } from '../verification/verification-runs.ts';
import { VerificationsController } from './verifications.controller.ts';

const run: RunRecord = {
  ...{ id: '', source: 'shop', scope: { kind: 'source' }, sinks: ['mongo'], trigger: 'request', actor: 'alice' },
  ...{ rowsPerSecond: null, secondWayShare: 0, createdAtMs: 0, state: 'done', error: null, endedAtMs: 1000 },
};
const table: RunTable = {
  ...{ runId: '', database: 'shop', table: 'orders', sink: 'mongo', phase: 'done', listed: 0, estimatedRows: 7 },
  counts: { rows: 7, equal: 6, mismatches: 1, ignored: 0, unsettled: 0, quarantined: 0 },
  secondWay: { rows: 0, equal: 0, mismatches: 0, ignored: 0, unsettled: 0, quarantined: 0 },
  ...{ keySignature: null, hold: null, startedAtMs: 0, endedAtMs: 1000 },
};

it('the tables of one run at a time are loaded for a list of runs', async () => {
  let [loading, most] = [0, 0];
  const store = {
    list: (_: unknown, limit: number) =>
      Promise.resolve(Array.from({ length: limit }, (_unused, i) => ({ ...run, id: `run ${i}` }))),
    listTables: async (runId: string) => {
      most = Math.max(most, ++loading);
      await new Promise((resolve) => setImmediate(resolve));
      loading--;
      return runId === 'run 1' ? [] : [table];
    },
  };
  const controller = new VerificationsController(
    { sources: { shop: {} } } as unknown as DittoConfig,
    store as unknown as VerificationRunStore,
    {} as VerificationRuns,
    {} as VerificationJobs,
    {} as AuditLog,
  );
  const { verifications } = await controller.list({ limit: 3 });
  expect(verifications.map(({ id, tables, mismatches }) => [id, tables, mismatches])).toEqual([
    ['run 0', 1, 1],
    ['run 1', 0, 0],
    ['run 2', 1, 1],
  ]);
  expect(most).toBe(1);
});
