import { silentLogger } from '#kernel';
import { type Stack, startStack } from '#stack';
import { acceptChanges, eventually } from '#testing';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
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
  await rm(stack.folder, { recursive: true, force: true });
}, 60_000);

/** Whether row `id` is deleted in this round. */
function isDeleted(id: number, round: number): boolean {
  return round > 1 && id % 50 === round % 50;
}

/** Writes rounds of updates of all keys until it is stopped; resolves with the number of the last. */
async function keepWriting(writer: MirrorWriter, isEnough: () => boolean): Promise<number> {
  for (let round = 1; ; round++) {
    const transaction = makeTransaction(round);
    const changes = Array.from({ length: KEYS }, (_, id) =>
      makeChange(round === 1 ? null : [id, ''], isDeleted(id, round) ? null : [id, String(round)], {
        transaction,
        rowIndex: id,
      }),
    );
    acceptChanges(writer, changes, mirror.acknowledgement);
    await eventually(() => writer.status().changesInFlight < 4 * KEYS);
    if (isEnough()) return round;
  }
}

async function expectRound(round: number): Promise<void> {
  const documents = await mirror.list();
  expect(documents.map(({ _id, row }) => [_id, (row as { note: string } | undefined)?.note])).toEqual(
    Array.from({ length: KEYS }, (_, id) => [id, isDeleted(id, round) ? undefined : String(round)]),
  );
}

describe('the mirror when its server breaks', () => {
  it('I1: nothing that was acknowledged is lost, and writing continues by itself after a crash', async () => {
    const writer = await mirror.openWriter({ lanes: 3, maxBatchChanges: 200, backoff: { initialMs: 20, maxMs: 200 } });
    await writer.prepareTable(ordersLayout);
    let isEnough = false;
    const written = keepWriting(writer, () => isEnough);
    const crash = async (): Promise<void> => {
      const before = mirror.acknowledged;
      await eventually(() => mirror.acknowledged > before + 2 * KEYS);
      await stack.kill('mongo');
      await eventually(() => writer.status().holdingBecause !== null);
      const { retries } = writer.status();
      await eventually(() => writer.status().retries > retries);
      await stack.start('mongo');
    };
    for (let crashes = 0; crashes < 3; crashes++) await Promise.race([crash(), written]);
    isEnough = true;
    const last = await written;
    await writer.drain(never);
    expect(mirror.fatal).toEqual([]);
    expect(mirror.acknowledged).toBe(last * KEYS);
    expect(writer.status()).toMatchObject({
      holdingBecause: null,
      counters: { rejectedOutsideReplay: 0 },
      bytesInFlight: 0,
    });
    await expectRound(last);
  }, 120_000);

  it('waits for a server that is not there yet', async () => {
    await stack.kill('mongo');
    const waits: string[] = [];
    const opened = openMongo({
      url: stack.url('mongo'),
      serverSelectionTimeoutMs: 300,
      logger: { ...silentLogger, warn: (message) => waits.push(message) },
    });
    await eventually(() => waits.length >= 2);
    await stack.start('mongo');
    const connection = await opened;
    await connection.ping();
    await connection.close();
  }, 60_000);
});
