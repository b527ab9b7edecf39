import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { StateAuditLog, StateDatabase } from '#state';
import { eventually, testStack } from '#testing';
import { type AuditEntriesDto } from '../src/http/audit.dto.ts';
import { createDeployment, type Deployment, Instance } from './deployment.ts';

const DAY_MS = 86_400_000;

describe('GET /audit', () => {
  let worker: Instance;
  let state: StateDatabase;
  let deployment: Deployment;

  beforeAll(async () => {
    const options = { probeIntervalMs: 60_000, sweepIntervalMs: 1000 };
    deployment = await createDeployment({ stack: await testStack(), ...options });
    worker = await Instance.start('dws', deployment);
    const login = deployment.config['state'] as { host: string; port: number; user: string; password: string };
    state = new StateDatabase({ ...login, database: (login as unknown as { database: string }).database });
    await state.open(AbortSignal.timeout(30_000));
  }, 60_000);

  afterAll(async () => {
    await worker.close();
    await state.close();
  }, 30_000);

  const list = async (query: string): Promise<AuditEntriesDto> =>
    (await worker.get(`/audit?${query}`)).body as AuditEntriesDto;

  test('lists what was done, newest first, by source, action, actor and time, in pages; old entries are removed', async () => {
    const nowMs = Date.now();
    const record = async (ageMs: number, actor: string, action: string, subject: string): Promise<void> =>
      new StateAuditLog(state, () => nowMs - ageMs).record({ actor, action, subject, details: { ageMs } });
    await record(401 * DAY_MS, 'alice', 'source.move', 'eu');
    await record(399 * DAY_MS, 'alice', 'source.move', 'eu');
    await record(3000, 'alice', 'source.resync', 'eu');
    await record(2000, 'bob', 'source.move', 'us');
    await record(1000, 'dss', 'source.moved', 'eu');
    const kept = await eventually(
      () => list(''),
      ({ entries }) => entries.length === 4,
    );
    expect(kept).toMatchObject({
      entries: [
        { actor: 'dss', action: 'source.moved', source: 'eu', repeats: 1, details: { ageMs: 1000 } },
        { actor: 'bob', action: 'source.move', source: 'us', atMs: nowMs - 2000, lastAtMs: nowMs - 2000 },
        { actor: 'alice', action: 'source.resync' },
        { actor: 'alice', action: 'source.move', details: { ageMs: 399 * DAY_MS } },
      ],
      next: null,
    });
    const actions = ({ entries }: AuditEntriesDto): string[] => entries.map(({ action }) => action);
    expect(actions(await list('source=eu&actor=alice'))).toEqual(['source.resync', 'source.move']);
    expect(actions(await list('action=source.moved'))).toEqual(['source.moved']);
    const since = new Date(nowMs - 2000).toISOString();
    expect(actions(await list(`since=${since}&until=${nowMs - 1000}`))).toEqual(['source.move']);
    const first = await list('limit=3');
    expect(actions(first)).toHaveLength(3);
    const second = await list(`limit=3&after=${first.next}`);
    expect([actions(second), second.next]).toEqual([['source.move'], null]);
  }, 60_000);

  test('refuses what is no time, no page and no filter', async () => {
    for (const query of ['since=yesterday', 'after=7', 'limit=0', 'subject=eu'])
      expect(await worker.get(`/audit?${query}`)).toMatchObject({
        status: 400,
        body: { code: 'DITTO_REQUEST_INVALID' },
      });
  });
});
