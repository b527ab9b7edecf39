import { randomInt } from 'node:crypto';
import { afterEach, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { type Connection } from 'mysql2/promise';
import { Random } from '../types/random.ts';
import { Sabotage } from './sabotage.ts';
import { type Run, Verifying } from './verifying.ts';
import { createTables, fill, workloadTables, Writer } from './workload.ts';
import { type ServiceInstance, World } from './world.ts';

const ORDERS = 1_500;
/** In each sink of each table, before each fault. */
const DAMAGES = 8;
/** A run takes some seconds by that, so that faults come in the middle of it. */
const ROWS_PER_SECOND = 2_000;
/** What the forged message of the end is found as. */
const OUTRANKING = 'nothing that outranks it but a higher lineage';

let world: World;
let mysql: Connection;
let dss: ServiceInstance;
let workers: ServiceInstance[] = [];
let writer: Writer;
let sabotage: Sabotage | undefined;

afterEach(async () => {
  await writer.stop().catch(() => undefined); // its server may be gone
  await sabotage?.close();
  await world.close();
}, 60_000);

async function connectToDatabase(): Promise<Connection> {
  const connection = await world.connect();
  await connection.query(`USE ${world.database}`);
  return connection;
}

async function startWriting(): Promise<void> {
  mysql = await connectToDatabase();
  // of the other half a damage stays until it is found
  writer = new Writer(await connectToDatabase(), { keys: ORDERS / 2, pauseMs: 20 });
}

async function alter(what: string): Promise<void> {
  await mysql.query(`ALTER TABLE ${what}`);
}

interface Fault {
  readonly name: string;
  /** Tables that are read again as a whole after it. */
  readonly rereads?: readonly string[];
  readonly happen: () => Promise<void>;
}

const FAULTS: readonly Fault[] = [
  {
    name: 'all workers are killed, with chunks in hand',
    happen: async () => {
      const killed = workers;
      for (const worker of killed) worker.signal('SIGKILL');
      for (const worker of killed) await worker.exited;
      workers = [await world.start('dws'), await world.start('dws')];
    },
  },
  {
    name: 'DSS is killed',
    happen: async () => {
      await world.signal(dss, 'SIGKILL');
      dss = await world.start('dss');
    },
  },
  {
    name: 'the source server is killed, and comes back',
    happen: async () => {
      const stack = world.stackOf('mysql-primary');
      await stack.kill('mysql-primary');
      await writer.stop().catch(() => undefined); // its connection is gone
      await stack.start('mysql-primary');
      await startWriting();
    },
  },
  {
    name: 'Redis loses everything',
    happen: async () => {
      const redis = new Redis(world.url('redis'));
      await redis.flushall();
      redis.disconnect();
    },
  },
  {
    name: 'a column is added, another one gets another type',
    rereads: ['orders', 'order_lines'],
    happen: async () => {
      await alter('orders ADD COLUMN rank_now INT NOT NULL DEFAULT 7');
      await alter('order_lines MODIFY price DOUBLE NOT NULL');
    },
  },
];

/** Damages both sinks, verifies, and lets the fault happen when a part is compared and repairs have begun. */
async function sufferFault(verifying: Verifying, damages: Sabotage, { name, rereads, happen }: Fault): Promise<Run> {
  for (const table of workloadTables) {
    await damages.damageMirror(table, DAMAGES);
    await damages.damageTopic(table, DAMAGES);
  }
  const number = damages.nextRun++;
  const begun = await verifying.begin({ rowsPerSecond: ROWS_PER_SECOND });
  const half = await verifying.waitFor(`a part to be compared before ${name}`, begun, 60_000, ({ rows }) => rows > 0);
  expect([name, half.state]).toEqual([name, 'running']);
  await happen();
  const run = await verifying.waitForEnd(begun, 150_000);
  expect([name, run.state, run.notJudged]).toEqual([name, 'done', 0]);
  const alarms = damages.ledger.note(await verifying.listMismatches());
  expect([name, alarms]).toEqual([name, []]);
  damages.ledger.endRun(number, run.endedAtMs ?? Infinity, rereads);
  return run;
}

/** A forged message that outranks all changes of its key is given up, until a resync raises the lineage. */
async function outrankAndResync(verifying: Verifying, damages: Sabotage): Promise<void> {
  const [forged] = await damages.damageTopic('orders', 1, ['future version']);
  await verifying.waitForEnd(await verifying.begin());
  const givenUp = (await verifying.waitForRepairs(60_000)).filter(({ state }) => state === 'given up');
  expect(givenUp.map(({ key, sink, reason }) => [key, sink, reason?.includes(OUTRANKING)])).toEqual([
    [forged?.key, 'kafka', true],
  ]);
  const answer = await fetch(`${dss.url}/sources/${world.name}/resync`, { method: 'POST' });
  expect(answer.status).toBe(202);
  await world.waitForStatus(dss, 'the resync', ({ state, lineage }) => state === 'streaming' && lineage === 2);
}

it('I8, I10: damages are found and repaired, without a false alarm, through killed workers, a killed DSS, a killed source, an empty Redis, and DDL', async () => {
  const seed = Number(process.env['DITTO_TEST_SEED'] ?? randomInt(1e9));
  process.stderr.write(`saboteur and faults: seed ${seed}\n`);
  world = await World.create({
    tables: workloadTables,
    ownServers: ['mysql-primary', 'kafka', 'mongo', 'redis'],
    configuration: { verification: { chunkRows: 500 }, dws: { repairIntervalMs: 300 } },
  });
  mysql = await connectToDatabase();
  await createTables(world, mysql);
  await fill(mysql, ORDERS / 2);
  await world.start('dcs');
  dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
  await fill(mysql, ORDERS / 2, 1 + ORDERS / 2);
  await world.waitUntilCaughtUp(dss);
  await startWriting();
  workers = [await world.start('dws'), await world.start('dws')];
  const verifying = new Verifying(world, () => workers[0] as ServiceInstance);
  sabotage = new Sabotage(world, new Random(seed));
  await sabotage.open();
  for (const fault of FAULTS) await sufferFault(verifying, sabotage, fault);

  const mismatches = await verifying.waitForRepairs(90_000);
  expect(mismatches.filter(({ state }) => state !== 'repaired' && state !== 'gone')).toEqual([]);
  const { found, overwritten, missed } = sabotage.ledger.close(await sabotage.readHistories(workloadTables));
  process.stderr.write(`saboteur and faults: ${JSON.stringify({ seed, found, overwritten })}\n`);
  expect({ seed, missed }).toEqual({ seed, missed: [] });
  expect(Object.values(found).reduce((a, b) => a + b, 0)).toBeGreaterThan(FAULTS.length * DAMAGES);

  await outrankAndResync(verifying, sabotage);
  await writer.stop();
  await world.waitUntilCaughtUp(dss);
  const last = await verifying.waitForEnd(await verifying.begin());
  expect(last).toMatchObject({ state: 'done', mismatches: 0, unsettled: 0, notJudged: 0 });
  const all = await verifying.listMismatches();
  expect(sabotage.ledger.note(all)).toEqual([]);
  expect(all.filter(({ state }) => state !== 'repaired' && state !== 'gone')).toEqual([]);
  const { tables, samples } = await world.compare();
  // what is out of order are the forged messages themselves: they stay until the topic is compacted
  expect(samples.filter((text) => !text.endsWith(': out of order'))).toEqual([]);
  for (const { mongo, kafka } of tables)
    for (const sink of [mongo, kafka]) expect(sink).toMatchObject({ missing: 0, extra: 0, different: 0 });
}, 900_000);
