import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Checkpoint, type LoggedTransaction, type TableLayout } from '#change-events';
import { adopt, type CopyState, type Grant, newRecord, planCopy, type TableRecord } from '#replication';
import {
  type AuditFilter,
  type AuditPage,
  StateAuditLog,
  StateCheckpointStore,
  StateCheckpointTrail,
  StateColumnStore,
  type StateDatabase,
  StateFencing,
  StateLineageStore,
  StateLogAcceptanceStore,
  StatePlacementStore,
  StateSwitchStore,
  StateResyncStore,
  StateRewindStore,
  StateTableStore,
  TopicEndStore,
  TopicPartitionStore,
} from '#state';
import { uniqueName } from '#testing';
import { explainReads } from './query-plan.ts';
import { openStateDatabase } from './state-server.ts';

const fenced = { code: 'DITTO_LEASE_FENCED', retriable: false };

function createCheckpoint(source: string, change: Partial<Checkpoint> = {}): Checkpoint {
  return {
    source,
    lineage: 1,
    position: {
      gtidSet: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5',
      file: 'binlog.000001',
      offset: 2 ** 33,
      serverUuid: 'u-1',
    },
    dispatchedSet: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9',
    undecidedSet: '3e11fa47-71ca-11e1-9e33-c80aa9429562:11',
    version: `${'0'.repeat(27)}1${'f'.repeat(16)}`,
    commitMicros: 1_795_000_000_123_456,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: 1_795_000_000_200,
    ...change,
  };
}

const logged: LoggedTransaction = {
  gtid: '3e11fa47-71ca-11e1-9e33-c80aa9429562:tag:9007199254740991',
  serverUuid: 'u-1',
  lineage: 1,
  file: 'binlog.000001',
  offset: 2 ** 33,
  commitMicros: 1_795_000_000_123_456,
  digest: '',
};

const COPYING = { state: 'copying', after: '[2000]', rowsRead: 2000, goneBelow: null, again: false } as const;
const DONE = { state: 'done', rowsRead: 2000 } as const;
const PENDING = { state: 'pending', endsGone: false } as const;

function createRecord(copy: CopyState = COPYING, table = 'orders'): TableRecord {
  return { ...newRecord({ database: 'shop', table }), estimatedRows: 9000, copy };
}

describe('stores under fencing tokens', () => {
  let database: StateDatabase;
  let fencing: StateFencing;
  let checkpoints: StateCheckpointStore;
  let tables: StateTableStore;
  let lineages: StateLineageStore;

  beforeAll(async () => {
    database = await openStateDatabase();
    fencing = new StateFencing(database);
    checkpoints = new StateCheckpointStore(database);
    tables = new StateTableStore(database);
    lineages = new StateLineageStore(database);
  });
  afterAll(async () => {
    await database.close();
  });

  async function grant(source: string, owner: string): Promise<Grant> {
    return { source, owner, token: await fencing.grant(source, owner) };
  }

  test('tokens grow with each grant, also when many are granted at once, and start where the caller asks', async () => {
    const source = uniqueName('shop');
    expect(await fencing.currentToken(source)).toBe(0);
    const tokens = await Promise.all(Array.from({ length: 10 }, (_, i) => fencing.grant(source, `owner-${i}`)));
    expect(tokens.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(await fencing.currentToken(source)).toBe(10);
    expect(await fencing.grant(source, 'a', 40)).toBe(41);
    expect(await fencing.grant(source, 'a', 7)).toBe(42);
    expect(await fencing.listSources()).toContain(source);
  });

  test('a checkpoint comes back as it was saved, with a set of megabytes too', async () => {
    const owner = await grant(uniqueName('shop'), 'a');
    expect(await checkpoints.load(owner.source)).toBeNull();
    const intervals = Array.from({ length: 100_000 }, (_, i) => `${i * 2 + 1}`).join(':');
    const checkpoint = createCheckpoint(owner.source, {
      dispatchedSet: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${intervals}`,
      lastCovered: logged,
      lastDispatched: { ...logged, digest: '00ff00ff' },
    });
    await checkpoints.save(owner, checkpoint);
    await checkpoints.save(owner, checkpoint);
    expect(await checkpoints.load(owner.source)).toEqual({ token: owner.token, checkpoint });
    expect(await checkpoints.listStored()).toContainEqual({ token: owner.token, checkpoint });
  });

  test('I5: an older token moves no checkpoint', async () => {
    const source = uniqueName('shop');
    const paused = await grant(source, 'paused');
    await checkpoints.save(paused, createCheckpoint(source));
    const newest = await grant(source, 'newest');
    const later = createCheckpoint(source, { version: `${'0'.repeat(27)}9${'f'.repeat(16)}` });
    await expect(checkpoints.save(paused, later)).rejects.toMatchObject({
      ...fenced,
      context: { source, token: 1, newest: 2 },
    });
    expect(await checkpoints.load(source)).toMatchObject({ checkpoint: createCheckpoint(source) });
    await checkpoints.save(newest, later);
    await expect(checkpoints.save(paused, createCheckpoint(source))).rejects.toMatchObject(fenced);
    expect(await checkpoints.load(source)).toMatchObject({ checkpoint: later });
  });

  test('I5: a token that was never granted moves nothing', async () => {
    const source = uniqueName('shop');
    await expect(checkpoints.save({ source, owner: 'x', token: 1 }, createCheckpoint(source))).rejects.toMatchObject(
      fenced,
    );
    await grant(source, 'a');
    await expect(checkpoints.save({ source, owner: 'x', token: 9 }, createCheckpoint(source))).rejects.toMatchObject(
      fenced,
    );
    expect(await checkpoints.load(source)).toBeNull();
  });

  test('a save that comes late, after a newer one of its owner, changes nothing; a higher lineage is newer', async () => {
    const owner = await grant(uniqueName('shop'), 'a');
    const version = (n: number) => `${'0'.repeat(27)}${n}${'f'.repeat(16)}`;
    await checkpoints.save(owner, createCheckpoint(owner.source, { version: version(7) }));
    await checkpoints.save(owner, createCheckpoint(owner.source, { version: version(6), dispatchedSet: 'late' }));
    expect(await checkpoints.load(owner.source)).toMatchObject({
      checkpoint: createCheckpoint(owner.source, { version: version(7) }),
    });
    const resynced = createCheckpoint(owner.source, { lineage: 2, version: '' });
    await checkpoints.save(owner, resynced);
    await checkpoints.save(owner, createCheckpoint(owner.source, { version: version(8) }));
    expect(await checkpoints.load(owner.source)).toMatchObject({ checkpoint: resynced });
    await checkpoints.save(owner, createCheckpoint(owner.source, { lineage: 2, version: version(3) }));
    const next = await grant(owner.source, 'b');
    const behind = createCheckpoint(owner.source, { lineage: 2, version: version(1) });
    await checkpoints.save(next, behind);
    expect(await checkpoints.load(owner.source)).toMatchObject({ checkpoint: behind });
  });

  test('I5: an older token completes no chunk and reserves no reads', async () => {
    const source = uniqueName('shop');
    const paused = await grant(source, 'paused');
    await tables.save(paused, [createRecord()]);
    await tables.reserveReads(paused, 4);
    const newest = await grant(source, 'newest');
    await expect(tables.save(paused, [createRecord({ ...COPYING, after: '[4000]' })])).rejects.toMatchObject(fenced);
    await expect(tables.save(paused, [createRecord(COPYING, 'other')])).rejects.toMatchObject(fenced);
    await expect(tables.reserveReads(paused, 5)).rejects.toMatchObject(fenced);
    expect(await tables.load(source)).toEqual([createRecord()]);
    expect(await tables.reservedReads(source)).toBe(4);
    const goneBelow = '0123456789a'.repeat(4);
    for (const copy of [
      { ...COPYING, after: '["ü\\"x",12345678901234567890]', goneBelow, again: true },
      { state: 'ending', rowsRead: 2 ** 40, goneBelow, again: false },
      { state: 'pending', endsGone: true },
      { state: 'unavailable', reason: 'no "key"' },
      DONE,
    ] as const) {
      await tables.save(newest, [createRecord(copy)]);
      expect(await tables.load(source)).toEqual([createRecord(copy)]);
    }
    await tables.reserveReads(newest, 3);
    expect(await tables.reservedReads(source)).toBe(4);
    await tables.reserveReads(newest, 0xffff_ffff);
    expect(await tables.reservedReads(source)).toBe(0xffff_ffff);
    await new StateLineageStore(database).raise(newest, 1, 'numbers of reads begin again');
    expect(await tables.reservedReads(source)).toBe(0);
  });

  test('I5: excluded columns are kept together with the tables that must be read again, by the newest token', async () => {
    const columns = new StateColumnStore(database);
    const source = uniqueName('shop');
    expect(await columns.excludedBy(source)).toBeNull();
    const paused = await grant(source, 'paused');
    expect(await columns.excludedBy(source)).toBeNull();
    await tables.save(paused, [createRecord({ ...COPYING, goneBelow: 'x' })]);
    await tables.save(paused, [createRecord(DONE, 'other')]);
    const next = await grant(source, 'next');
    const again = [
      { database: 'shop', table: 'orders' },
      { database: 'shop', table: 'unseen' },
    ];
    await expect(columns.adopt(paused, ['shop.orders.a'], again)).rejects.toMatchObject(fenced);
    expect(await columns.excludedBy(source)).toBeNull();
    expect((await tables.load(source)).map(({ copy }) => copy.state)).toEqual(['copying', 'done']);
    await columns.adopt(next, ['shop.orders.a', 'ü.`"`.*'], again);
    expect(await columns.excludedBy(source)).toEqual(['shop.orders.a', 'ü.`"`.*']);
    expect(await tables.load(source)).toEqual([
      { ...createRecord({ state: 'pending', endsGone: true }), generation: 1 },
      createRecord(DONE, 'other'),
      { ...createRecord({ state: 'pending', endsGone: true }, 'unseen'), estimatedRows: 0, generation: 1 },
    ]);
    await columns.adopt(next, [], []);
    expect(await columns.excludedBy(source)).toEqual([]);
  });

  test('I5: what is adopted of tables is kept by the newest token, and forgotten by a finished resync', async () => {
    const source = uniqueName('shop');
    const paused = await grant(source, 'paused');
    const layout: TableLayout = {
      database: 'shop',
      table: 'orders',
      key: [0],
      fingerprint: '["ü\\""]',
      columns: [
        {
          name: 'ü"',
          kind: 'enum',
          type: 'enum',
          unsigned: false,
          precision: 0,
          scale: 0,
          length: 0,
          charset: null,
          labels: ['a', '😀'],
        },
      ],
    };
    const adopted = { key: '[["ü\\"","enum",0]]', since: '0123456789a'.repeat(4), layout };
    const former = adopt(createRecord(DONE), { key: '[]', since: '', layout: null });
    const without = createRecord(DONE, 'other');
    await tables.save(paused, [former, without]);
    const next = await grant(source, 'next');
    const record = adopt(former, adopted);
    await expect(tables.save(paused, [record])).rejects.toMatchObject(fenced);
    expect(await tables.load(source)).toEqual([former, without].sort((a, b) => (a.table < b.table ? -1 : 1)));
    await tables.save(next, [record]);
    expect((await tables.load(source)).find(({ table }) => table === 'orders')).toEqual(record);
    // an adopted layout that is there is not written again, with whatever else is saved
    const [advanced, created] = [planCopy(record, 9, COPYING), adopt(createRecord(DONE, 'created'), adopted)];
    const unwritten = { ...advanced, adopted: former.adopted };
    await tables.save(next, [unwritten, created], ({ table }) => table === 'orders');
    expect(await tables.find(source, record)).toEqual(advanced);
    expect(await tables.find(source, created)).toEqual(created);
    expect(await tables.find(source, { database: 'shop', table: 'Orders' })).toBeNull();
    await expect(tables.save(paused, [unwritten], () => true)).rejects.toMatchObject(fenced);
    await tables.save(next, [record, createRecord({ state: 'none' }, 'created')]);
    const resyncs = new StateResyncStore(database);
    await expect(resyncs.finish(paused)).rejects.toMatchObject(fenced);
    // the rows of a table that is left out have not ended
    const leftOut = adopt(createRecord({ state: 'none' }, 'past'), adopted);
    await tables.save(next, [leftOut]);
    await resyncs.finish(next);
    expect(await tables.load(source)).toEqual([
      createRecord({ state: 'none' }, 'created'),
      { ...record, adopted: null, generation: record.generation + 1 },
      without,
      leftOut,
    ]);
  });

  test('a resync that was asked for is pending, whichever process owns the source, until it is finished', async () => {
    const resyncs = new StateResyncStore(database);
    const source = uniqueName('shop');
    expect(await resyncs.pendingFor(source)).toBeNull();
    await resyncs.request(await grant(source, 'a'), 'alice');
    const next = await grant(source, 'b');
    expect(await resyncs.pendingFor(source)).toEqual({ askedBy: 'alice' });
    // one that is part of a loss is none of an operator's, and goes with the loss
    await resyncs.request(next, null);
    await resyncs.withdraw(next);
    expect(await resyncs.pendingFor(source)).toEqual({ askedBy: 'alice' });
    const keyless = createRecord({ state: 'unavailable', reason: 'it has no key' }, 'keyless');
    await tables.save(next, [createRecord({ ...COPYING, goneBelow: 'x', again: true }), keyless]);
    await resyncs.startOver(next, []);
    await resyncs.startOver(next, [{ database: 'shop', table: 'orders' }]);
    expect(await tables.load(source)).toEqual([keyless, { ...createRecord(PENDING), generation: 1 }]);
    await resyncs.finish(next);
    expect(await resyncs.pendingFor(source)).toBeNull();
    await resyncs.request(next, null);
    expect(await resyncs.pendingFor(source)).toEqual({ askedBy: null });
    await resyncs.withdraw(next);
    expect(await resyncs.pendingFor(source)).toBeNull();
  });

  test('I5: a log that was accepted is so for the next owner until that has used it up, by the newest token only', async () => {
    const acceptances = new StateLogAcceptanceStore(database);
    const source = uniqueName('shop');
    expect(await acceptances.acceptedBy(source)).toBeNull();
    const paused = await grant(source, 'paused');
    await acceptances.accept(paused, 'alice');
    const newest = await grant(source, 'newest');
    expect(await acceptances.acceptedBy(source)).toBe('alice');
    await expect(acceptances.accept(paused, 'mallory')).rejects.toMatchObject(fenced);
    await expect(acceptances.finish(paused)).rejects.toMatchObject(fenced);
    await acceptances.finish(newest);
    expect(await acceptances.acceptedBy(source)).toBeNull();
  });

  test('any instance places a source that was run once; a placement is ended only where it still is', async () => {
    const placements = new StatePlacementStore(database);
    const source = uniqueName('shop');
    expect(await placements.place(source, { instance: 'a', placedBy: 'alice' })).toBe(false);
    await fencing.grant(source, 'b');
    expect(await placements.place(source, { instance: 'a', placedBy: 'alice' })).toBe(true);
    expect(await placements.place(source, { instance: 'a', placedBy: 'alice' })).toBe(true);
    const first = (await placements.list()).get(source);
    expect(first).toEqual({ instance: 'a', placedBy: 'alice', order: expect.any(Number) });
    await placements.place(source, { instance: 'a', placedBy: 'alice' });
    expect((await placements.list()).get(source)?.order).toBeGreaterThan(first?.order ?? Infinity);
    expect(await placements.end(source, 'b')).toBe(false);
    expect((await placements.list()).has(source)).toBe(true);
    expect(await placements.end(source, 'a')).toBe(true);
    expect((await placements.list()).has(source)).toBe(false);
    await placements.place(source, { instance: 'c', placedBy: 'bob' });
    expect(await placements.place(source, null)).toBe(true);
    expect((await placements.list()).has(source)).toBe(false);
  });

  test('I5: a switch that was asked for is pending for the next owner until that has done it, by the newest token only', async () => {
    const switches = new StateSwitchStore(database);
    const source = uniqueName('shop');
    expect(await switches.pendingFor(source)).toBeNull();
    const paused = await grant(source, 'paused');
    const wanted = { to: 'db-2:3306', askedBy: 'alice', givesUp: '' };
    await switches.request(paused, wanted);
    const newest = await grant(source, 'newest');
    expect(await switches.pendingFor(source)).toEqual(wanted);
    await expect(switches.request(paused, { to: 'db-3:3306', askedBy: 'mallory', givesUp: '' })).rejects.toMatchObject(
      fenced,
    );
    await expect(switches.finish(paused, wanted)).rejects.toMatchObject(fenced);
    const later = { to: 'db-2:3306', askedBy: null, givesUp: '3e11fa47-71ca-11e1-9e33-c80aa9429562:7' };
    const again = { ...later, askedBy: 'bob' };
    await switches.request(newest, again);
    await switches.finish(newest, wanted);
    expect(await switches.pendingFor(source)).toEqual(again);
    await switches.finish(newest, again);
    expect(await switches.pendingFor(source)).toBeNull();
    await switches.request(newest, later);
    expect(await switches.pendingFor(source)).toEqual(later);
  });

  test('a switch that Ditto decided by itself does not take the place of an operator’s', async () => {
    const switches = new StateSwitchStore(database);
    const owner = await grant(uniqueName('shop'), 'a');
    const wanted = { to: 'db-2:3306', askedBy: 'alice', givesUp: '' };
    const own = { to: 'db-3:3306', askedBy: null, givesUp: '3e11fa47-71ca-11e1-9e33-c80aa9429562:7' };
    await switches.request(owner, own);
    await switches.request(owner, { ...own, to: 'db-4:3306' });
    expect((await switches.pendingFor(owner.source))?.to).toBe('db-4:3306');
    expect(await switches.request(owner, wanted)).toBe(true);
    expect(await switches.request(owner, own)).toBe(false);
    expect(await switches.pendingFor(owner.source)).toEqual(wanted);
    // the same again is there, too
    expect(await switches.request(owner, wanted)).toBe(true);
  });

  test('keeps checkpoints of the past: the first of a process, and the last of each ten seconds that are over', async () => {
    const trail = new StateCheckpointTrail(database);
    const owner = await grant(uniqueName('shop'), 'a');
    const saveAt = (number: number, seconds: number): Promise<void> => {
      const version = number.toString(16).padStart(44, '0');
      const position = {
        ...createCheckpoint('').position,
        gtidSet: `3e11fa47-71ca-11e1-9e33-c80aa9429562:1-${number}`,
      };
      const checkpoint = { version, position, lastCovered: logged, savedAtMs: 1_795_000_000_000 + seconds * 1000 };
      return process.save(owner, createCheckpoint(owner.source, checkpoint));
    };
    const process = new StateCheckpointStore(database);
    for (const [number, seconds] of [
      [1, 0],
      [2, 4],
      [3, 9],
      [4, 11],
      [5, 12],
      [6, 31],
    ] as const)
      await saveAt(number, seconds);
    const listed = await trail.list(owner.source);
    expect(new Set(listed.map(({ gtidSet }) => Number(/-(\d+)$/.exec(gtidSet)?.[1])))).toEqual(new Set([5, 3, 1]));
    expect(listed[0]).toMatchObject({ lineage: 1, lastCovered: logged, savedAtMs: 1_795_000_012_000 });
    // each slot is used again: an hour of checkpoints leaves no more than there are slots
    for (let number = 7; number < 500; number++) await saveAt(number, number * 10);
    expect((await trail.list(owner.source)).length).toBeLessThanOrEqual(204);
  });

  test('I5: an older token asks for no resync, starts no table over and finishes none', async () => {
    const resyncs = new StateResyncStore(database);
    const source = uniqueName('shop');
    const paused = await grant(source, 'paused');
    const newest = await grant(source, 'newest');
    await tables.save(newest, [createRecord()]);
    await expect(resyncs.request(paused, 'alice')).rejects.toMatchObject(fenced);
    await expect(resyncs.withdraw(paused)).rejects.toMatchObject(fenced);
    await expect(resyncs.startOver(paused, [createRecord()])).rejects.toMatchObject(fenced);
    await resyncs.request(newest, 'bob');
    await expect(resyncs.finish(paused)).rejects.toMatchObject(fenced);
    expect(await resyncs.pendingFor(source)).toEqual({ askedBy: 'bob' });
    expect(await tables.load(source)).toEqual([createRecord()]);
  });

  test('table names that differ only in case or accent are different tables', async () => {
    const owner = await grant(uniqueName('shop'), 'a');
    for (const table of ['orders', 'Orders', 'örders'])
      await tables.save(owner, [createRecord({ state: 'unavailable', reason: table }, table)]);
    expect((await tables.load(owner.source)).map(({ table }) => table).sort()).toEqual(['Orders', 'orders', 'örders']);
  });

  test('I5: an older token raises no lineage', async () => {
    const source = uniqueName('shop');
    const paused = await grant(source, 'paused');
    expect(await lineages.current(source)).toBe(0);
    await lineages.raise(paused, 1, 'first start');
    const newest = await grant(source, 'newest');
    await expect(lineages.raise(paused, 2, 'stale')).rejects.toMatchObject(fenced);
    await expect(lineages.raise(paused, 1, 'first start')).rejects.toMatchObject(fenced);
    expect(await lineages.current(source)).toBe(1);
    await lineages.raise(newest, 3, 'switch');
    expect(await lineages.history(source)).toMatchObject([
      { lineage: 3, reason: 'switch', token: 2 },
      { lineage: 1, reason: 'first start', token: 1 },
    ]);
  });

  test('a lineage is raised once however often its owner asks, and never lowered', async () => {
    const owner = await grant(uniqueName('shop'), 'a');
    await lineages.raise(owner, 2, 'switch');
    await lineages.raise(owner, 2, 'switch');
    await expect(lineages.raise(owner, 1, 'back')).rejects.toMatchObject({
      code: 'DITTO_STATE_LINEAGE_NOT_HIGHER',
      retriable: false,
    });
    expect(await lineages.history(owner.source)).toHaveLength(1);
  });

  test('the partition count of a topic is remembered until another is saved', async () => {
    const store = new TopicPartitionStore(database);
    const topic = uniqueName('topic');
    expect(await store.load(topic)).toBeNull();
    await store.save(topic, 4);
    expect(await store.load(topic)).toBe(4);
    await store.save(topic, 6);
    expect(await store.load(topic)).toBe(6);
  });

  test('the audit log keeps who did what', async () => {
    const audit = new StateAuditLog(database);
    const subject = uniqueName('shop');
    await audit.record({
      actor: 'alice',
      action: 'lease.released',
      subject,
      details: { why: 'maintenance "now"', n: 1 },
    });
    await audit.record({ actor: 'dcs', action: 'lease.granted', subject });
    const [second, first] = await audit.list({}, { after: null, limit: 2 });
    expect(second).toMatchObject({ actor: 'dcs', action: 'lease.granted', subject, details: {} });
    expect(first).toMatchObject({ actor: 'alice', details: { why: 'maintenance "now"', n: 1 } });
  });

  test('the audit log keeps one entry, with a count, of what is done again and again', async () => {
    const audit = new StateAuditLog(database);
    const subject = uniqueName('shop');
    const entry = (token: number) => ({ actor: 'dcs', action: 'lease.grant', subject, details: { token } });
    await Promise.all(Array.from({ length: 20 }, (_, n) => audit.recordRepeated(entry(n), 'owner a')));
    await audit.recordRepeated(entry(20), 'owner a');
    await audit.recordRepeated(entry(21), 'owner b');
    await audit.record({ ...entry(22), actor: 'alice' });
    await audit.record({ ...entry(23), actor: 'alice' });
    const entries = (await audit.list({}, { after: null, limit: 50 })).filter((found) => found.subject === subject);
    expect(entries.map(({ actor, repeats, details }) => [actor, repeats, details])).toEqual([
      ['alice', 1, { token: 23 }],
      ['alice', 1, { token: 22 }],
      ['dcs', 1, { token: 21 }],
      ['dcs', 21, { token: 20 }],
    ]);
    for (const { atMs, lastAtMs } of entries) expect(lastAtMs).toBeGreaterThanOrEqual(atMs);
  });

  test('the audit log shows first what was done last, also where it was done before: of another day, or of this one', async () => {
    const day = 24 * 60 * 60 * 1_000;
    let now = Date.UTC(2026, 10, 1, 23, 59, 59, 999);
    const audit = new StateAuditLog(database, () => now);
    const subject = uniqueName('shop');
    const record = (actor: string) =>
      audit.recordRepeated({ actor, action: 'lease.grant', subject, details: { now } }, actor);
    const list = async () =>
      (await audit.list({}, { after: null, limit: 50 }))
        .filter((found) => found.subject === subject)
        .map(({ actor, repeats, atMs, lastAtMs }) => [actor, repeats, atMs, lastAtMs]);
    await record('a');
    const first = now;
    now += 1;
    await record('b');
    const next = now;
    now += day / 2;
    await record('a');
    now += 1;
    await record('b');
    const oldest = ['a', 1, first, first];
    expect(await list()).toEqual([['b', 2, next, now], ['a', 1, now - 1, now - 1], oldest]);
    now += 1;
    await record('a');
    expect(await list()).toEqual([['a', 2, now - 2, now], ['b', 2, next, now - 1], oldest]);
  });

  test('the audit log is listed in pages, and by actor, action, subject and time', async () => {
    let now = 1000;
    const audit = new StateAuditLog(database, () => now++);
    const subject = uniqueName('shop');
    for (const actor of ['a', 'b', 'a', 'b', 'a']) await audit.record({ actor, action: `by.${actor}`, subject });
    await audit.recordRepeated({ actor: 'dcs', action: 'lease.grant', subject }, 'x');
    await audit.recordRepeated({ actor: 'dcs', action: 'lease.grant', subject }, 'x');
    const list = async (filter: AuditFilter, limit = 50): Promise<number[]> => {
      const times: number[] = [];
      for (let after: AuditPage['after'] = null; ;) {
        const page = await audit.list({ subject, ...filter }, { after, limit });
        times.push(...page.map(({ lastAtMs }) => lastAtMs));
        if (page.length < limit) return times;
        after = page.at(-1) ?? null;
      }
    };
    expect(await list({})).toEqual([1006, 1004, 1003, 1002, 1001, 1000]);
    expect(await list({}, 1)).toEqual([1006, 1004, 1003, 1002, 1001, 1000]);
    expect(await list({}, 4)).toEqual([1006, 1004, 1003, 1002, 1001, 1000]);
    expect(await list({ actor: 'a' }, 2)).toEqual([1004, 1002, 1000]);
    expect(await list({ action: 'by.b' })).toEqual([1003, 1001]);
    expect(await list({ subject: 'none' })).toEqual([]);
    expect(await list({ sinceMs: 1003, untilMs: 1006 })).toEqual([1006, 1004, 1003]);
    expect(await list({ untilMs: 1002 })).toEqual([1001, 1000]);
  });

  test('the newest entries of the audit log are found without reading all of it', async () => {
    const audit = new StateAuditLog(database);
    for (let n = 0; n < 20; n++) await audit.record({ actor: 'alice', action: 'test', subject: 'shop' });
    await database.transaction((manager) =>
      manager.query(
        `INSERT INTO audit_log (at_ms, last_at_ms, actor, action, subject, details)
         SELECT one.at_ms, one.last_at_ms, one.actor, one.action, one.subject, one.details
         FROM audit_log one, audit_log two, audit_log three`,
      ),
    );
    await database.transaction((manager) => manager.query('ANALYZE TABLE audit_log'));
    const plan = await explainReads(database, () => audit.list({}, { after: null, limit: 5 }));
    expect(plan).toMatchObject([{ key: 'audit_log_last_at' }]);
    expect(plan[0]?.Extra ?? '').not.toContain('filesort');
  });

  test('I1, I5: ends of partitions only grow, losses stay until a rewind or a resync, and an older token writes none', async () => {
    const source = uniqueName('shop');
    const ends = new TopicEndStore(database);
    const rewinds = new StateRewindStore(database);
    const resyncs = new StateResyncStore(database);
    const old = await grant(source, 'a');
    await ends.save(old, [
      { topic: `${source}.a.b`, partition: 0, end: 7 },
      { topic: `${source}.a.b`, partition: 1, end: 2 ** 40 },
    ]);
    const owner = await grant(source, 'b');
    await expect(ends.save(old, [{ topic: 't', partition: 0, end: 9 }])).rejects.toMatchObject(fenced);
    await expect(ends.recordLosses(old, [])).rejects.toMatchObject(fenced);
    const topic = `${source}.a.b`;
    await ends.save(owner, [{ topic, partition: 0, end: 5 }]);
    await ends.recordLosses(owner, [{ topic, partition: 0, confirmedEnd: 8, survivingEnd: 4 }]);
    await ends.recordLosses(owner, [{ topic, partition: 0, confirmedEnd: 8, survivingEnd: 6 }]);
    const losses = [{ topic, partition: 0, confirmedEnd: 8, survivingEnd: 4 }];
    const second = { topic, partition: 1, end: 2 ** 40 };
    expect(await ends.load(source)).toEqual({ ends: [{ topic, partition: 0, end: 8 }, second], losses });
    expect(await ends.load(uniqueName('other'))).toEqual({ ends: [], losses: [] });

    await tables.save(owner, [createRecord({ state: 'pending', endsGone: true })]);
    await rewinds.request(owner, 'ann');
    await expect(rewinds.finish(old, [])).rejects.toMatchObject(fenced);
    expect(await rewinds.pendingFor(source)).toBe('ann');
    await rewinds.giveUp(owner);
    expect(await rewinds.pendingFor(source)).toBeNull();
    expect((await ends.load(source)).losses).toEqual(losses);
    await rewinds.request(owner, 'ann');
    await rewinds.finish(owner, [{ database: 'shop', table: 'orders' }]);
    expect(await rewinds.pendingFor(source)).toBeNull();
    expect(await ends.load(source)).toEqual({ ends: [{ topic, partition: 0, end: 4 }, second], losses: [] });
    expect(await tables.load(source)).toEqual([
      { ...createRecord({ state: 'pending', endsGone: true }), generation: 1 },
    ]);
    await resyncs.startOver(owner, []);
    expect(await ends.load(source)).toEqual({ ends: [], losses: [] });
  });
});
