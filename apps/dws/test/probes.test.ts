import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { GtidSet } from '#change-events';
import { eventually, testStack, uniqueName } from '#testing';
import { Queue } from 'bullmq';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { type HeartbeatsDto } from '../src/http/heartbeat.dto.ts';
import { createClient, createDeployment, type Deployment, Instance } from './deployment.ts';

const PROBE_INTERVAL_MS = 250;

describe('two workers', () => {
  let deployment: Deployment;
  let dcs: Instance;
  let workers: Instance[];

  beforeAll(async () => {
    deployment = await createDeployment({
      stack: await testStack(),
      probeIntervalMs: PROBE_INTERVAL_MS,
      sweepIntervalMs: 1000,
    });
    dcs = await Instance.start('dcs', deployment);
    workers = [await Instance.start('dws', deployment), await Instance.start('dws', deployment)];
  }, 60_000);

  afterAll(async () => {
    for (const instance of [...workers, dcs]) await instance.close();
  }, 30_000);

  const countProbes = async (): Promise<number[]> =>
    Promise.all(workers.map((worker) => worker.metric('ditto_dws_probes_total')));

  const countFailedJobs = async (): Promise<number[]> =>
    Promise.all(workers.map((worker) => worker.metric('ditto_dws_failed_jobs_total')));

  /** So that servers which were started just now have a GTID. Resolves to those that the primary has executed meanwhile. */
  async function writeTransactions(): Promise<GtidSet> {
    const connection = await createConnection((await testStack()).url('mysql-primary'));
    try {
      const readExecuted = async (): Promise<GtidSet> => {
        const [rows] = await connection.query<RowDataPacket[]>('SELECT @@GLOBAL.gtid_executed AS executed');
        return GtidSet.parse(String(rows[0]?.['executed']));
      };
      const before = await readExecuted();
      const database = uniqueName('probes');
      await connection.query(`CREATE DATABASE ${database}`);
      await connection.query(`DROP DATABASE ${database}`);
      return (await readExecuted()).subtract(before);
    } finally {
      await connection.end();
    }
  }

  test('share the probes, and no turn of a schedule is run twice', async () => {
    // those that waited for their first connection count in no turn
    await eventually(countProbes, (now) => now.every((count) => count >= 2));
    const failedBefore = await countFailedJobs();
    const startedAt = Date.now();
    const before = (await countProbes()).reduce((a, b) => a + b);
    const counts = await eventually(countProbes, (now) => now.every((count) => count >= 10));
    const turns = Math.ceil((Date.now() - startedAt) / PROBE_INTERVAL_MS) + 1;
    const probes = counts.reduce((a, b) => a + b) - before;
    expect(probes).toBeLessThanOrEqual(2 * turns);
    expect(probes).toBeGreaterThanOrEqual(2);
    expect(await countFailedJobs()).toEqual(failedBefore);
  }, 60_000);

  test('publish what both servers say to DCS, and each shows it', async () => {
    const client = createClient(deployment);
    const written = await writeTransactions();
    try {
      const heartbeats = await eventually(
        () => client.listServers(deployment.source),
        (found) =>
          found.length === 2 &&
          found.every(({ executedGtidSet }) => GtidSet.parse(executedGtidSet ?? '').contains(written)),
      );
      const find = (index: number) =>
        heartbeats.find(({ endpoint }) => endpoint === `127.0.0.1:${deployment.endpoints[index]?.port ?? 0}`);
      expect(find(0)).toMatchObject({ readOnly: false, replicaLagMs: null, unreachableSinceMs: null, error: null });
      expect(find(1)).toMatchObject({ superReadOnly: true, replicaError: null });
      expect(find(1)?.replicaLagMs).toBeGreaterThanOrEqual(0);
      for (const { reachable, serverUuid, executedGtidSet, roundTripMs, clockOffsetMs } of heartbeats) {
        expect(serverUuid).toMatch(/^[0-9a-f-]{36}$/);
        expect(executedGtidSet).toMatch(/^[0-9a-f-]{36}:\d/);
        expect(reachable).toBe(true);
        expect(roundTripMs).toBeGreaterThan(0);
        expect(Math.abs(clockOffsetMs ?? Infinity)).toBeLessThan(1000);
      }
      expect(find(0)?.serverUuid).not.toBe(find(1)?.serverUuid);
    } finally {
      client.close();
    }
    for (const worker of workers) {
      const { status, body: answer } = await worker.get(`/heartbeats?source=${deployment.source}`);
      const body = answer as HeartbeatsDto;
      expect(status).toBe(200);
      expect(body).toMatchObject({ sources: [{ unprobed: [], incompleteBecause: null }], unreachable: [] });
      expect(body.sources[0]?.endpoints).toHaveLength(2);
    }
  }, 30_000);

  test('are ready, report themselves, and know no other source', async () => {
    for (const worker of workers) expect((await worker.get('/health/ready')).status).toBe(200);
    const client = createClient(deployment);
    try {
      const services = await eventually(
        () => client.listServices(),
        (found) => found.filter(({ service }) => service === 'dws').length === 2,
      );
      expect(services[0]?.url).toMatch(/^http:/);
    } finally {
      client.close();
    }
    expect(await workers[0]?.get('/heartbeats?source=nobody')).toMatchObject({
      status: 404,
      body: { code: 'DITTO_SOURCE_UNKNOWN' },
    });
    expect(await workers[0]?.get('/heartbeats?sauce=shop')).toMatchObject({ status: 400 });
  }, 30_000);

  test('remove the schedule of a source that is no longer configured', async () => {
    const { source, endpoints, config } = deployment;
    const { url, keyPrefix } = config['redis'] as { url: string; keyPrefix: string };
    const queue = new Queue('sweeps', { connection: { url }, prefix: `{${keyPrefix}:jobs}` });
    const scheduled = async (): Promise<readonly string[]> => (await queue.getJobSchedulers()).map(({ key }) => key);
    try {
      expect(await scheduled()).toEqual([source]);
      for (const worker of workers) await worker.close();
      const other = { other: { endpoints: endpoints.slice(0, 1), include: ['*.*'], sinks: ['mongo'] } };
      workers = [await Instance.start('dws', { ...deployment, config: { ...config, sources: other } })];
      await eventually(scheduled, (sources) => sources.join() === 'other');
    } finally {
      await queue.close();
    }
  }, 30_000);
});
