import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Grant, type NewRead } from '#replication';
import { type StateDatabase, StateFencing, StateRequestedReadStore } from '#state';
import { uniqueName } from '#testing';
import { openStateDatabase } from './state-server.ts';

const scope = { kind: 'keys', keys: ['[1]', '["é"]'] } as const;
const running = { state: 'running', counts: { read: 1, emitted: 1, gone: 0 }, confirmedKeys: 1, error: null } as const;

describe('reads that were asked for', () => {
  let database: StateDatabase;
  let reads: StateRequestedReadStore;
  let grant: Grant;

  beforeAll(async () => {
    database = await openStateDatabase();
    reads = new StateRequestedReadStore(database);
    const source = uniqueName('shop');
    grant = { source, owner: 'a', token: await new StateFencing(database).grant(source, 'a') };
  });
  afterAll(() => database.close());

  async function accept(id = uniqueName('read'), acceptedAtMs = 5): Promise<string> {
    const read: NewRead = {
      ...{ id, source: grant.source, database: 'shop', table: 'orders', scope },
      ...{ reason: 'rows differ', actor: 'alice', acceptedAtMs },
    };
    await reads.accept(read);
    return id;
  }

  test('come back as they were asked for, once, oldest first', async () => {
    const id = await accept('second', 7);
    await accept('first', 6);
    await accept(id, 9);
    expect(await reads.find(id)).toEqual({
      ...{ id, source: grant.source, database: 'shop', table: 'orders', scope },
      ...{ reason: 'rows differ', actor: 'alice', acceptedAtMs: 7, startedAtMs: null, endedAtMs: null },
      ...{ state: 'accepted', counts: { read: 0, emitted: 0, gone: 0 }, confirmedKeys: 0, error: null },
    });
    expect((await reads.listOpen(grant.source, 9)).map((read) => read.id)).toEqual(['first', 'second']);
    expect(await reads.listOpen(grant.source, 1)).toHaveLength(1);
    expect(await reads.find('unknown')).toBeNull();
  });

  test('keep how far they are, and stay as they ended', async () => {
    const id = await accept();
    expect(await reads.save(grant, id, running)).toBe(true);
    const begun = await reads.find(id);
    expect(begun).toMatchObject({ ...running, startedAtMs: expect.any(Number), endedAtMs: null });
    const error = { code: 'DITTO_READ_REFUSED', message: 'no' };
    expect(await reads.save(grant, id, { ...running, state: 'failed', error })).toBe(true);
    expect(await reads.save(grant, id, { ...running, state: 'done' })).toBe(false);
    expect(await reads.cancel(id)).toBe(false);
    expect(await reads.find(id)).toMatchObject({ state: 'failed', error, startedAtMs: begun?.startedAtMs });
  });

  test('that are cancelled are not continued', async () => {
    const id = await accept();
    expect(await reads.cancel(id)).toBe(true);
    expect(await reads.save(grant, id, running)).toBe(false);
    expect(await reads.find(id)).toMatchObject({ state: 'cancelled', endedAtMs: expect.any(Number) });
    expect((await reads.listOpen(grant.source, 99)).map((read) => read.id)).not.toContain(id);
  });

  test('I5: only the newest owner records what was read', async () => {
    const id = await accept();
    const next = { ...grant, owner: 'b', token: await new StateFencing(database).grant(grant.source, 'b') };
    await expect(reads.save(grant, id, running)).rejects.toMatchObject({ code: 'DITTO_LEASE_FENCED' });
    expect(await reads.find(id)).toMatchObject({ state: 'accepted' });
    expect(await reads.save(next, id, running)).toBe(true);
  });
});
