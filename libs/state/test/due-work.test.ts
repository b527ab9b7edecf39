import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Grant } from '#replication';
import {
  type StateDatabase,
  StateDueWork,
  StateFailedEventStore,
  StateFencing,
  StateMismatchStore,
  StateNoticeStore,
  StateRepairStore,
  StateRequestedReadStore,
  StateVerificationRunStore,
} from '#state';
import { uniqueName } from '#testing';
import { type NewMismatch } from '#verification';
import { openStateDatabase } from './state-server.ts';

const table = { database: 'shop', table: 'orders' };
const NOTHING = { repairs: [], failedEvents: [], notices: false, chunks: false };
const details = {
  way: 'first',
  differences: [],
  damage: null,
  storedVersion: 'v',
  fingerprint: 'f',
  shown: null,
} as const;

describe('due work', () => {
  let database: StateDatabase;
  let work: StateDueWork;

  beforeAll(async () => {
    database = await openStateDatabase();
    work = new StateDueWork(database);
  });
  afterAll(() => database.close());

  async function own(): Promise<Grant> {
    const source = uniqueName('shop');
    return { source, owner: 'a', token: await new StateFencing(database).grant(source, 'a') };
  }

  function mismatch(source: string, kind: NewMismatch['kind']): NewMismatch {
    return {
      source,
      ...table,
      sink: 'kafka',
      key: uniqueName('k'),
      isKey: true,
      kind,
      details,
      runId: null,
      seenAtMs: 5,
    };
  }

  test('is nothing where nothing was ever run', async () => {
    expect(await work.look(1000)).toEqual(NOTHING);
  });

  test('are open mismatches except lost messages, and repairs whose moment has come', async () => {
    const [{ source }, other] = [await own(), await own()];
    const mismatches = new StateMismatchStore(database);
    const repairs = new StateRepairStore(database, () => 77);
    await mismatches.record([mismatch(source, 'gap'), mismatch(other.source, 'gap')]);
    expect(await work.look(1000)).toEqual(NOTHING);
    await mismatches.record([mismatch(source, 'damaged')]);
    expect(await work.look(1000)).toEqual({ ...NOTHING, repairs: [source] });
    const [open] = (await mismatches.list({ source }, { after: null, limit: 9 })).filter(({ kind }) => kind !== 'gap');
    if (open === undefined) throw new Error('nothing was recorded');
    await repairs.plan([open], 'dws', 2000);
    await mismatches.changeState(open.id, ['open'], { to: 'repairing', actor: 'dws' });
    expect(await work.look(1999)).toEqual(NOTHING);
    expect(await work.look(2000)).toEqual({ ...NOTHING, repairs: [source] });
    const [{ id } = { id: '' }] = await repairs.list({ source }, { after: null, limit: 9 });
    await repairs.change([id], ['planned'], { to: 'repaired' });
    expect(await work.look(2000)).toEqual(NOTHING);
  });

  test('are failed events whose time has come, unless they are being read', async () => {
    const grant = await own();
    const { source } = grant;
    const events = new StateFailedEventStore(database, () => 1000);
    const version = '00000001000000010000000000640000000000000000';
    const refused = { code: 'DITTO_KAFKA_MESSAGE_TOO_LARGE', message: 'too large', id: 'u:1/0', version, gtid: 'u:1' };
    const place = { file: 'binlog.000001', offset: 4, payload: null };
    await events.record(grant, { table, key: '[1]', sink: 'kafka', ...refused, ...place }, 6000);
    expect(await work.look(5999)).toEqual(NOTHING);
    expect(await work.look(6000)).toEqual({ ...NOTHING, failedEvents: [source] });
    const [event] = await events.listDue(source, 6000, 1);
    const reads = new StateRequestedReadStore(database);
    const id = uniqueName('read');
    await events.retried([event?.id ?? ''], id, 6000, { initialMs: 100, maxMs: 100 });
    const read = { id, source, ...table, scope: { kind: 'keys', keys: ['[1]'] }, actor: 'dws', reason: '' } as const;
    await reads.accept({ ...read, acceptedAtMs: 6000 });
    expect(await work.look(7000)).toEqual(NOTHING);
    await reads.cancel(id);
    expect(await work.look(7000)).toEqual({ ...NOTHING, failedEvents: [source] });
    await events.discard(event?.id ?? '', 'test', 'test');
    expect(await work.look(7000)).toEqual(NOTHING);
  });

  test('are notices, and chunks of runs that are under way', async () => {
    const { source } = await own();
    const notices = new StateNoticeStore(database);
    const notice = {
      id: uniqueName('n'),
      webhook: 'pager',
      event: 'source.stopped',
      source,
      body: '{}',
      uniqueKey: null,
    };
    await notices.add([{ ...notice, createdAtMs: 3000 }]);
    expect(await work.look(2999)).toEqual(NOTHING);
    expect(await work.look(3000)).toEqual({ ...NOTHING, notices: true });
    await notices.end(notice.id, null, 3000);
    const runs = new StateVerificationRunStore(database, () => 4000);
    const id = uniqueName('run');
    const run = { id, source, scope: { kind: 'source' }, sinks: ['mongo'], trigger: 'request', actor: 'a' } as const;
    await runs.create({ ...run, rowsPerSecond: null, secondWayShare: 0, createdAtMs: 4000 }, [table]);
    expect(await work.look(3999)).toEqual(NOTHING);
    expect(await work.look(4000)).toEqual({ ...NOTHING, chunks: true });
    await runs.changeState(id, ['running'], 'paused');
    expect(await work.look(4000)).toEqual(NOTHING);
  });
});
