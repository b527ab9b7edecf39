import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Grant, type NewRead, type ReadProgress } from '#replication';
import { type StateDatabase, StateFencing, StateRequestedReadStore } from '#state';
import { uniqueName } from '#testing';
import { explainReads } from './query-plan.ts';
import { openStateDatabase } from './state-server.ts';

const scope = { kind: 'keys', keys: ['[1]', '["é"]'] } as const;
const running: ReadProgress = {
  ...{ state: 'running', counts: { read: 1, emitted: 1, gone: 0 }, confirmedKeys: 1 },
  ...{ place: { phase: 'gone', after: 'x' }, estimatedRows: 12, error: null },
};

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
      ...{ state: 'accepted', counts: { read: 0, emitted: 0, gone: 0 }, keyCount: 2, confirmedKeys: 0, error: null },
      ...{ place: null, estimatedRows: null },
    });
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
    expect((await reads.listNext(grant.source)).map((read) => read.id)).not.toContain(id);
  });

  test('are not kept with their keys once they have ended, and are still known by their id', async () => {
    const [done, cancelled] = [await accept(), await accept()];
    await reads.save(grant, done, { ...running, state: 'done' });
    await reads.cancel(cancelled);
    for (const id of [done, cancelled]) {
      expect(await reads.find(id)).toMatchObject({ scope: { kind: 'keys', keys: [] }, keyCount: 2 });
      await accept(id);
      expect(await reads.find(id)).toMatchObject({ endedAtMs: expect.any(Number) });
    }
  });

  test('an id is of one request only', async () => {
    const id = await accept();
    const asked = (await reads.find(id)) as NewRead;
    for (const other of [
      { source: 'another' },
      { table: 'lines' },
      { scope: { kind: 'table' } as const },
      { scope: { ...scope, keys: ['[1]'] } },
    ])
      await expect(reads.accept({ ...asked, ...other })).rejects.toMatchObject({ code: 'DITTO_READ_ID_TAKEN' });
    await reads.accept({ ...asked, reason: 'sent again', actor: 'bob' });
    expect(await reads.find(id)).toMatchObject({ reason: 'rows differ', actor: 'alice' });
  });

  test('are next one by one for each table and kind, and are listed in pages', async () => {
    const source = uniqueName('shop');
    const asked = { reason: 'rows differ', actor: 'alice', source, database: 'shop' };
    const ids = Array.from({ length: 6 }, () => uniqueName('read')).sort();
    const scopes = [scope, scope, { kind: 'table' }, { kind: 'table' }, scope, scope] as const;
    const tables = ['b', 'b', 'b', 'b', 'a', 'b'];
    for (const [i, id] of ids.entries())
      await reads.accept({ ...asked, id, table: tables[i] ?? '', scope: scopes[i] ?? scope, acceptedAtMs: i >> 1 });
    const [first, second, third, , fifth, last] = ids;
    expect(await reads.listNext(source)).toEqual([
      { id: first, database: 'shop', table: 'b', kind: 'keys' },
      { id: third, database: 'shop', table: 'b', kind: 'table' },
      { id: fifth, database: 'shop', table: 'a', kind: 'keys' },
    ]);
    await reads.cancel(first ?? '');
    expect((await reads.listNext(source)).map(({ id }) => id)).toEqual([second, third, fifth]);
    const list = async (onlyOpen: boolean, before: string | null, limit: number): Promise<string[]> =>
      (await reads.list(source, { onlyOpen, before, limit })).map(({ id }) => id);
    expect(await list(false, null, 4)).toEqual([...ids].reverse().slice(0, 4));
    expect(await list(false, third ?? null, 4)).toEqual([second, first]);
    expect(await list(true, third ?? null, 4)).toEqual([second]);
    expect(await list(true, null, 1)).toEqual([last]);
  });

  test('are listed without what they read', async () => {
    const id = await accept(uniqueName('read'), 99);
    const [listed] = await reads.list(grant.source, { onlyOpen: true, before: null, limit: 1 });
    expect(listed).not.toHaveProperty('scope');
    expect({ ...listed, scope }).toEqual({ ...(await reads.find(id)), kind: 'keys' });
  });

  test('of one row are those of its key and those of its whole table', async () => {
    const source = uniqueName('shop');
    const asked = { reason: 'rows differ', actor: 'alice', source, database: 'shop' };
    const keys = ['["a"]', '["x \\"y\\\\ü😀"]'];
    const scopes: Record<string, [table: string, scope: NewRead['scope']]> = {
      'both keys': ['orders', { kind: 'keys', keys }],
      'the other key': ['orders', { kind: 'keys', keys: ['["A"]', '["a", 1]', '["b"]', 'a'] }],
      'the whole table': ['orders', { kind: 'table' }],
      'another table': ['lines', { kind: 'keys', keys }],
      'the whole of another table': ['lines', { kind: 'table' }],
      'first key': ['orders', { kind: 'keys', keys: keys.slice(0, 1) }],
    };
    for (const [i, [name, [table, of]]] of Object.entries(scopes).entries())
      await reads.accept({
        ...asked,
        id: `${source} ${i}`.slice(-36),
        table,
        scope: of,
        acceptedAtMs: i,
        reason: name,
      });
    const list = async (key: string, limit = 9): Promise<string[]> => {
      const ofRow = { database: 'shop', table: 'orders', key };
      return (await reads.list(source, { onlyOpen: true, before: null, limit, ofRow })).map(({ reason }) => reason);
    };
    expect(await list(keys[0] ?? '')).toEqual(['first key', 'the whole table', 'both keys']);
    expect(await list(keys[1] ?? '')).toEqual(['the whole table', 'both keys']);
    expect(await list(keys[1] ?? '', 1)).toEqual(['the whole table']);
    expect(await list('["c"]')).toEqual(['the whole table']);
  });

  test('are listed by an index, page by page', async () => {
    const source = uniqueName('shop');
    const asked = { reason: 'r', actor: 'alice', source, database: 'shop', table: 'orders', scope } as const;
    const ids = Array.from({ length: 40 }, () => uniqueName('read'));
    for (const [i, id] of ids.entries()) await reads.accept({ ...asked, id, acceptedAtMs: i });
    await database.transaction((manager) =>
      manager.query(
        `INSERT INTO requested_reads (id, source, database_name, table_name, scope, scope_kind, scope_hash, key_count, reason,
           actor, state, is_open, counts, confirmed_keys, accepted_at_ms)
         SELECT UUID(), one.source, one.database_name, one.table_name, one.scope, one.scope_kind, one.scope_hash,
           one.key_count, one.reason, one.actor, one.state, one.is_open, one.counts, one.confirmed_keys, one.accepted_at_ms
         FROM requested_reads one JOIN requested_reads two ON two.source = one.source WHERE one.source = ?`,
        [source],
      ),
    );
    await database.transaction((manager) => manager.query('ANALYZE TABLE requested_reads'));
    // of a page near the newest, all that comes before it is as good as the whole index
    const listing = { onlyOpen: false, before: ids[10] ?? '', limit: 10 };
    const plan = await explainReads(database, () => reads.list(source, listing));
    expect(plan.at(-1)).toMatchObject({ key: 'requested_reads_accepted', type: 'range' });
    expect(plan.at(-1)?.Extra).not.toContain('filesort');
  });

  test('I5: only the newest owner records what was read', async () => {
    const id = await accept();
    const next = { ...grant, owner: 'b', token: await new StateFencing(database).grant(grant.source, 'b') };
    await expect(reads.save(grant, id, running)).rejects.toMatchObject({ code: 'DITTO_LEASE_FENCED' });
    expect(await reads.find(id)).toMatchObject({ state: 'accepted' });
    expect(await reads.save(next, id, running)).toBe(true);
  });
});
