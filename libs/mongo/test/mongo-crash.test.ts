import { silentLogger } from '#kernel';
import { type Stack, startStack } from '#stack';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type MirrorWriter, openMongo } from '../src/index.ts';
import { makeChange, makeTransaction, ordersLayout } from './make-changes.ts';
import { MirrorFixture } from './mirror-fixture.ts';

const never = new AbortController().signal;
const KEYS = 500;

let stack: Stack;
let mirror: MirrorFixture;
beforeAll(async () => {
  stack = await startStack({ folder: await mkdtemp(join(tmpdir(), 'ditto-mongo-')), servers: ['mongo'] });
  mirror = await MirrorFixture.open(stack.url('mongo'));
}, 300_000);
afterAll(async () => {
  await mirror.connection.close();
  await stack.down();
}, 60_000);

/** Writes rounds of updates of all keys until told to stop; resolves with the number of the last. */
async function keepWriting(writer: MirrorWriter, isEnough: () => boolean): Promise<number> {
  for (let number = 1; ; number++) {
    const transaction = makeTransaction(number);
    const changes = Array.from({ length: KEYS }, (_, id) =>
      makeChange(number === 1 ? null : [id, ''], id % 50 === number % 50 ? null : [id, String(number)], {
        transaction,
        rowIndex: id,
      }),
    );
    writer.accept(changes, mirror.acknowledgement);
    while (writer.status().changesInFlight > 4 * KEYS) await new Promise((resolve) => setTimeout(resolve, 5));
    if (isEnough()) return number;
  }
}

async function expectRound(number: number): Promise<void> {
  const documents = await mirror.list();
  expect(documents.map(({ _id, row }) => [_id, (row as { note: string } | undefined)?.note])).toEqual(
    Array.from({ length: KEYS }, (_, id) => [id, id % 50 === number % 50 ? undefined : String(number)]),
  );
}

describe('the mirror when its server breaks', () => {
  it('I1: nothing that was acknowledged is lost, and writing goes on by itself after a crash', async () => {
    const writer = await mirror.openWriter({ lanes: 3, maxBatchChanges: 200, backoff: { initialMs: 20, maxMs: 200 } });
    await writer.prepareTable(ordersLayout);
    let crashes = 0;
    const written = keepWriting(writer, () => crashes === 3);
    const reached = async (condition: () => boolean) => {
      while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    while (crashes < 3) {
      const before = mirror.acknowledged;
      await reached(() => mirror.acknowledged > before + 2 * KEYS);
      await stack.kill('mongo');
      await reached(() => writer.status().holdingBecause !== null);
      const heldAt = writer.status().retries;
      await reached(() => writer.status().retries > heldAt);
      await stack.start('mongo');
      crashes++;
    }
    const last = await written;
    await writer.drain(never);
    expect(mirror.fatal).toEqual([]);
    expect(mirror.acknowledged).toBe(last * KEYS);
    expect(writer.status()).toMatchObject({ holdingBecause: null, rejectedOutsideReplay: 0, bytesInFlight: 0 });
    await expectRound(last);
  }, 180_000);

  it('waits for a server that is not there yet', async () => {
    await stack.kill('mongo');
    const waits: string[] = [];
    const opened = openMongo({
      url: stack.url('mongo'),
      serverSelectionTimeoutMs: 300,
      logger: { ...silentLogger, warn: (message) => waits.push(message) },
    });
    while (waits.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await stack.start('mongo');
    const connection = await opened;
    await connection.ping();
    await connection.close();
  }, 60_000);
});
