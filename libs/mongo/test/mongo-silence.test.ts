import { silentLogger } from '#kernel';
import { acceptChanges, eventually, FaultProxy, openSink, testStack } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type MongoConnection, MirrorWriter, openMongo } from '../src/index.ts';
import { makeChange, makeTransaction, ordersLayout } from './make-changes.ts';
import { MirrorFixture } from './mirror-fixture.ts';

const never = new AbortController().signal;

let mirror: MirrorFixture;
let proxy: FaultProxy;
let connection: MongoConnection;
let writer: MirrorWriter;
beforeAll(async () => {
  const stack = await testStack();
  mirror = await MirrorFixture.open(stack.url('mongo'));
  proxy = await FaultProxy.open(stack.endpoint('mongo'));
  const url = new URL(stack.url('mongo'));
  url.host = `${proxy.host}:${proxy.port}`;
  connection = await openMongo({ url: url.href, logger: silentLogger });
  const { source } = mirror;
  writer = new MirrorWriter({ connection, source, isReplaying: () => false, logger: silentLogger });
  await openSink(writer, { onFatal: (error) => mirror.fatal.push(error) });
  await writer.prepareTable(ordersLayout);
});
afterAll(async () => {
  await connection.close();
  proxy.close();
  await mirror.close();
});

async function write(id: number): Promise<void> {
  acceptChanges(writer, [makeChange(null, [id, 'x'], { transaction: makeTransaction(id) })], mirror.acknowledgement);
  await writer.drain(never);
}

describe('a MongoDB that falls silent in mid-call', () => {
  it('I1: is noticed within seconds by the heartbeats, its connections are dropped, and nothing is lost', async () => {
    await write(1);
    const accepted = proxy.acceptedConnections;
    proxy.silence({ bytes: 'swallowed' });
    const began = performance.now();
    const written = write(2);
    await eventually(() => writer.status().holdingBecause !== null);
    expect(performance.now() - began).toBeLessThan(8000);
    expect(writer.status().changesInFlight).toBe(1);
    proxy.restore();
    await written;
    expect(proxy.acceptedConnections).toBeGreaterThan(accepted);
    expect([mirror.acknowledged, (await mirror.list()).length, mirror.fatal]).toEqual([2, 2, []]);
  }, 30_000);
});
