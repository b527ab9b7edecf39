import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type DcsClient } from '#dcs-client';
import { silentLogger } from '#kernel';
import { mirrorDatabase, type MongoConnection, openMongo } from '#mongo';
import { eventually, testStack } from '#testing';
import { type SweepsDto } from '../src/http/sweep.dto.ts';
import { createClient, createDeployment, type Deployment, Instance } from './deployment.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const RETENTION_MS = 60_000;

/** Of lineage 1, file 1. */
function version(offset: number): string {
  return `${'1'.padStart(8, '0')}${'1'.padStart(8, '0')}${offset.toString(16).padStart(12, '0')}${'0'.repeat(16)}`;
}

describe('the sweep of tombstones', () => {
  let deployment: Deployment;
  let dcs: Instance;
  let client: DcsClient;
  let worker: Instance;
  let mongo: MongoConnection;

  beforeAll(async () => {
    const stack = await testStack();
    deployment = await createDeployment({
      stack,
      probeIntervalMs: 5000,
      sweepIntervalMs: 1000,
      tombstoneRetentionMs: RETENTION_MS,
    });
    mongo = await openMongo({ url: stack.url('mongo'), waitForServer: false, logger: silentLogger });
    dcs = await Instance.start('dcs', deployment);
    client = createClient(deployment);
  }, 60_000);

  afterAll(async () => {
    await worker.close();
    client.close();
    await dcs.close();
    await mongo.db(mirrorDatabase({ source: deployment.source, databasePrefix: '' })).dropDatabase();
    await mongo.close();
  }, 30_000);

  const documents = () =>
    mongo
      .db(mirrorDatabase({ source: deployment.source, databasePrefix: '' }))
      .collection<{ _id: string; v: string; gtid?: string; deletedAt?: Date; row?: object }>('shop.orders');
  const listIds = async (): Promise<string[]> =>
    (await documents().find().sort({ _id: 1 }).toArray()).map(({ _id }) => _id);
  const listSweeps = async (): Promise<SweepsDto['sweeps']> =>
    ((await worker.get(`/sweeps?source=${deployment.source}`)).body as SweepsDto).sweeps;

  async function saveCheckpoint(offset: number): Promise<void> {
    const { grant } = await client.acquireLease({ source: deployment.source, owner: 'test', ttlMs: 60_000 });
    if (grant === null) throw new Error('no lease');
    const position = { gtidSet: `${UUID}:1-5`, file: 'binlog.000001', offset, serverUuid: 'u' };
    const at = {
      lineage: 1,
      position,
      dispatchedSet: '',
      undecidedSet: '',
      version: version(offset),
      commitMicros: 0,
      lastCovered: null,
      lastDispatched: null,
      savedAtMs: 0,
    };
    await client.putOffset(grant, { source: deployment.source, ...at });
  }

  test('removes only those that are older than the retention and below the checkpoint', async () => {
    const old = new Date(Date.now() - RETENTION_MS - 1000);
    await documents().insertMany([
      { _id: 'old, above', v: version(600), deletedAt: old },
      { _id: 'old, at the checkpoint', v: version(500), deletedAt: old },
      { _id: 'old, below', v: version(400), deletedAt: old },
      { _id: 'row, below', v: version(100), row: { id: 1 } },
      { _id: 'young, below', v: version(400), deletedAt: new Date() },
      { _id: 'older lineage, to come again', v: `00000000${version(400).slice(8)}`, gtid: `${UUID}:7`, deletedAt: old },
      { _id: 'older lineage, covered', v: `00000000${version(400).slice(8)}`, gtid: `${UUID}:5`, deletedAt: old },
    ]);
    worker = await Instance.start('dws', deployment);

    const [first] = await eventually(listSweeps, (sweeps) => sweeps.length > 0);
    expect(first).toMatchObject({ state: 'done', removed: 0, collections: 0, belowVersion: null });
    expect(await listIds()).toHaveLength(7);

    await saveCheckpoint(500);
    const sweeps = await eventually(
      listSweeps,
      (ended) => ended.filter(({ belowVersion }) => belowVersion !== null).length >= 2,
    );
    expect(await listIds()).toEqual([
      'old, above',
      'old, at the checkpoint',
      'older lineage, to come again',
      'row, below',
      'young, below',
    ]);
    expect(sweeps.map(({ removed }) => removed ?? 0).reduce((a, b) => a + b)).toBe(2);
    expect(sweeps[0]).toMatchObject({
      source: deployment.source,
      state: 'done',
      belowVersion: version(500),
      error: null,
    });
    expect(await worker.metric('ditto_dws_removed_tombstones_total')).toBe(2);
  }, 60_000);

  test('fails without DCS, reports it, and comes again', async () => {
    await dcs.close();
    const [newest] = await eventually(listSweeps, ([sweep]) => sweep?.state === 'failed');
    expect(newest).toMatchObject({ removed: null, belowVersion: null });
    expect(newest?.error).toMatch(/^DITTO_DCS_UNAVAILABLE/);
    dcs = await Instance.start('dcs', deployment);
    await eventually(listSweeps, ([sweep]) => sweep?.state === 'done');
    expect(await worker.metric('ditto_dws_failed_jobs_total', 'sweeps')).toBeGreaterThan(0);
    expect(await listIds()).toHaveLength(5);
  }, 60_000);
});

test('a sweep that failed because DCS was not up yet is tried again soon, not in an hour', async () => {
  const deployment = await createDeployment({ stack: await testStack(), probeIntervalMs: 5000 });
  const worker = await Instance.start('dws', deployment);
  const listSweeps = async (): Promise<SweepsDto['sweeps']> => ((await worker.get('/sweeps')).body as SweepsDto).sweeps;

  const failed = await eventually(listSweeps, (sweeps) => sweeps.length > 0);
  expect(failed).toMatchObject([{ state: 'failed', error: expect.stringMatching(/^DITTO_DCS_UNAVAILABLE/) }]);

  const dcs = await Instance.start('dcs', deployment);
  const ended = await eventually(listSweeps, ([sweep]) => sweep?.state === 'done');
  expect(ended).toMatchObject([{ state: 'done', error: null }]);
  await worker.close();
  await dcs.close();
}, 60_000);
