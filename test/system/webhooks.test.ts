import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { MongoClient } from 'mongodb';
import { World, type ServiceInstance } from './world.ts';

let world: World;
let dss: ServiceInstance;
let dws: ServiceInstance;
let receiver: Server;
const received: Record<string, unknown>[] = [];

beforeAll(async () => {
  receiver = createServer((request, response) => {
    void text(request).then((body) => {
      received.push(JSON.parse(body) as Record<string, unknown>);
      response.writeHead(200).end();
    });
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  world = await World.create({
    tables: ['notes'],
    source: { repair: { mode: 'report' } },
    configuration: { webhooks: [{ name: 'pager', url, secret: 'a secret of sixteen' }] },
  });
  const mysql = await world.connect();
  await mysql.query(`CREATE TABLE ${world.database}.notes (id INT PRIMARY KEY, v VARCHAR(20));
    INSERT INTO ${world.database}.notes VALUES (1, 'a'), (2, 'b'), (3, 'c')`);
  await world.start('dcs');
  dws = await world.start('dws');
  dss = await world.start('dss');
  await world.waitUntilCaughtUp(dss);
}, 90_000);

afterAll(async () => {
  receiver.close();
  await world.close();
});

async function waitForNotice(event: string): Promise<Record<string, unknown>> {
  const find = () => received.find((notice) => notice['event'] === event);
  await world.waitFor(`a notice of ${event}`, () => Promise.resolve(find() !== undefined), { watch: dws });
  return find() ?? {};
}

describe('a webhook', () => {
  it('is called once for a table in which a run finds rows that differ', async () => {
    const mongo = await MongoClient.connect(world.url('mongo'));
    const documents = mongo.db(`ditto_${world.name}`).collection<{ _id: unknown }>(`${world.database}.notes`);
    expect((await documents.updateMany({}, { $set: { 'row.v': 'damaged' } })).modifiedCount).toBe(3);
    await mongo.close();
    const answer = await fetch(`${dws.url}/verifications`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ source: world.name, sinks: ['mongo'] }),
    });
    const { id } = (await answer.json()) as { id: string };
    expect(await waitForNotice('mismatches.found')).toMatchObject({
      ...{ source: world.name, table: `${world.database}.notes`, sink: 'mongo', run: id, kinds: ['different'] },
    });
  }, 60_000);

  it('is called when a source stops, with the code and the way out; the audit log has it too', async () => {
    const mysql = await world.connect();
    await mysql.query(`SET SESSION binlog_format = STATEMENT; UPDATE ${world.database}.notes SET v = 'd' WHERE id = 1`);
    const stopped = await world.waitForStatus(dss, 'the stop', ({ state }) => state === 'failed');
    const notice = await waitForNotice('source.stopped');
    expect(notice).toMatchObject({ source: world.name, error: stopped.error });
    const { entries } = (await (await fetch(`${dws.url}/audit?action=source.stopped`)).json()) as {
      entries: readonly object[];
    };
    expect(entries).toMatchObject([{ actor: 'dss', source: world.name, details: { error: stopped.error } }]);
    expect(received.filter(({ event }) => event === 'mismatches.found')).toHaveLength(1);
  }, 60_000);

  it('is called when the only endpoint of a source can not be reached, as for one that has several', async () => {
    await world.signal(dss, 'SIGTERM');
    await dss.exited;
    const { host, user, password } = world.cluster.endpoint('mysql-primary');
    dss = await world.start('dss', { source: { endpoints: [{ host, port: 1, user, password }] } });
    expect(await waitForNotice('source.no-server')).toMatchObject({
      source: world.name,
      error: { code: 'DITTO_SOURCE_UNREACHABLE' },
    });
  }, 60_000);
});
