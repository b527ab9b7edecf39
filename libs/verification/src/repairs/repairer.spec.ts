import { describe, expect, it } from '@jest/globals';
import { DittoError } from '#kernel';
import { RepairWorld } from '../../test/repair-world.ts';
import { RepairPolicy } from './repair-policy.ts';

describe('repairs', () => {
  it('read wrong rows again, make damaged ones overwritable first, and are closed only when the rows are equal', async () => {
    const world = new RepairWorld();
    for (const key of [1, 2, 3]) await world.find(key);
    await world.find(4, 'damaged');
    await world.findForeign('f');
    await world.turn();
    expect([...world.reads.values()]).toEqual([
      expect.objectContaining({ scope: { kind: 'keys', keys: ['[1]', '[2]', '[3]', '[4]'] }, actor: 'dws' }),
    ]);
    await world.turn();
    // what is not under a key is removed at once; the rest waits for DSS
    expect(world.states()).toEqual(['reading', 'reading', 'reading', 'reading', 'repaired']);
    await world.settle();
    expect([world.wrong.size, world.foreign.size]).toEqual([0, 0]);
    expect(new Set(world.mismatchStates())).toEqual(new Set(['repaired']));
    expect(world.repairs.records.get('1')).toMatchObject({
      ...{ state: 'repaired', attempts: 1, actor: 'dws' },
      before: { fingerprint: 'seen' },
      after: { isDeleted: false },
    });
    expect(world.audit).toEqual(['rows.repair']);
  });

  it('end well, with one read of each row or a repeated one, wherever a worker is killed', async () => {
    for (let call = 0, wasKilled = true; wasKilled; call++) {
      const world = new RepairWorld();
      for (const key of [1, 2]) await world.find(key);
      await world.find(3, 'damaged');
      await world.findForeign('f');
      world.crashes.left = call;
      wasKilled = await world.settle(4).then(
        () => false,
        () => true,
      );
      world.crashes.left = Infinity;
      await world.settle();
      expect([call, world.wrong.size, world.foreign.size]).toEqual([call, 0, 0]);
      expect(world.mismatchStates().filter((state) => state !== 'repaired' && state !== 'gone')).toEqual([]);
      expect(world.states().slice(0, 3)).toEqual(['repaired', 'repaired', 'repaired']);
    }
  });

  it('of two workers at once count once', async () => {
    const world = new RepairWorld();
    for (let key = 0; key < 19; key++) await world.find(key, key % 2 ? 'damaged' : 'different');
    await world.findForeign('f');
    for (let i = 0; i < 10; i++) {
      await Promise.all([world.turn(), world.turn(), world.turn()]);
      world.executeReads();
      world.nowMs += 3000;
    }
    expect([...world.repairs.records.values()].map(({ state, attempts }) => [state, attempts])).toEqual(
      Array.from({ length: 20 }, (_, i) => ['repaired', i < 19 ? 1 : 0]),
    );
  });

  it('are tried again with growing pauses, and given up in view', async () => {
    const world = new RepairWorld();
    await world.find(1);
    world.stubborn.add(1);
    await world.settle();
    expect(world.repairs.records.get('1')).toMatchObject({
      ...{ state: 'given up', attempts: 3 },
      reason: 'after 3 attempts: still wrong after the read: different',
    });
    expect(world.mismatchStates()).toEqual(['given up']);
    await world.settle();
    expect(world.repairs.records.size).toBe(1);
  });

  it('of what only the second way sees are closed only when that way finds it equal', async () => {
    const world = new RepairWorld();
    await world.findBySecond(1, 'until read');
    await world.findBySecond(2, 'until read');
    await world.find(3);
    world.restless.add(2).add(3);
    await world.settle(10);
    expect(world.states()).toEqual(['repaired', 'verifying', 'repaired']);
    world.restless.clear();
    await world.settle(3);
    expect([world.states(), world.disagreeing.size]).toEqual([['repaired', 'repaired', 'repaired'], 0]);
  });

  it('of what the second way finds different after every read are given up, with the reason', async () => {
    const world = new RepairWorld();
    await world.findBySecond(1, 'always');
    await world.settle();
    expect(world.repairs.records.get('1')).toMatchObject({
      ...{ state: 'given up', attempts: 3 },
      reason: expect.stringMatching(
        /^after 3 attempts: still wrong after the read: different by the second way only, in price: .* fault of Ditto/,
      ),
    });
    expect([...world.mismatches.records.values()]).toMatchObject([{ state: 'given up', details: { way: 'second' } }]);
    await world.settle();
    expect(world.repairs.records.size).toBe(1);
  });

  it('take what is damaged in another way meanwhile as it is now', async () => {
    const world = new RepairWorld();
    await world.find(1, 'damaged');
    const found = world.wrong.get(1);
    if (found) found.fingerprint = 'changed by somebody';
    await world.settle();
    expect(world.repairs.records.get('1')).toMatchObject({ state: 'repaired', attempts: 2 });
  });

  it('of a version that nothing outranks are given up at once, with the reason', async () => {
    const world = new RepairWorld();
    await world.find(1, 'damaged', { isDemotable: false });
    await world.settle();
    expect(world.repairs.records.get('1')).toMatchObject({
      ...{ state: 'given up', attempts: 1 },
      reason: expect.stringMatching(/higher lineage: resync/),
    });
  });

  it('of what is under no key, in a sink that can not remove it, are given up: it is still there', async () => {
    const world = new RepairWorld();
    world.canRemove = false;
    await world.findForeign('f');
    await world.settle();
    expect(world.repairs.records.get('1')).toMatchObject({
      ...{ state: 'given up', attempts: 0 },
      reason: expect.stringMatching(/can not remove it/),
    });
    expect(world.mismatchStates()).toEqual(['given up']);
  });

  it('of a sink that does not open keep no others waiting', async () => {
    const world = new RepairWorld();
    await world.find(1, 'damaged', {}, 'closed');
    await world.find(2);
    world.closedSinks.add('closed');
    await world.turn();
    expect([...world.repairs.records.values()]).toMatchObject([
      { state: 'failed', attempts: 1, reason: 'DITTO_TEST_CLOSED: does not open' },
      { state: 'reading' },
    ]);
    await world.settle();
    expect([...world.repairs.records.values()]).toMatchObject([
      { state: 'given up', reason: 'after 3 attempts: DITTO_TEST_CLOSED: does not open' },
      { state: 'repaired' },
    ]);
  });

  it('of a row that is too large to be read cost no others anything', async () => {
    const world = new RepairWorld();
    for (let key = 0; key < 40; key++) await world.find(key);
    world.tooLarge.add(17);
    await world.settle();
    expect(world.states().filter((state) => state !== 'repaired')).toEqual(['given up']);
    expect(world.repairs.records.get('18')).toMatchObject({
      ...{ state: 'given up', attempts: 3 },
      reason: 'after 3 attempts: DITTO_SOURCE_ROW_TOO_LARGE: row 17',
    });
    expect([...world.repairs.records.values()].filter(({ attempts }) => attempts > 1)).toHaveLength(1);
  });

  it('of many rows whose read fails of one are read in smaller parts', async () => {
    const world = new RepairWorld();
    for (let key = 0; key < 40; key++) await world.find(key);
    world.unreadable.add(17);
    await world.settle();
    expect(world.states().filter((state) => state !== 'repaired')).toEqual(['given up']);
    expect(world.repairs.records.get('18')).toMatchObject({ state: 'given up', attempts: 3 });
  });

  it('of many rows that stay wrong are read together again', async () => {
    const world = new RepairWorld();
    for (let key = 0; key < 40; key++) await world.find(key);
    for (let key = 0; key < 40; key++) world.stubborn.add(key);
    await world.settle();
    expect(new Set(world.states())).toEqual(new Set(['given up']));
    const sizes = [...world.reads.values()].map(({ scope }) => (scope.kind === 'keys' ? scope.keys.length : 0));
    expect(sizes).toEqual([40, 40, 40]);
  });

  it('of many rows are not verified one by one when the error is not of a row', async () => {
    const world = new RepairWorld();
    for (let key = 0; key < 40; key++) await world.find(key);
    world.verifyError = new DittoError('DITTO_TEST_REFUSED', 'never');
    await world.settle();
    expect([world.verified, new Set(world.states())]).toEqual([3, new Set(['given up'])]);
    expect(world.repairs.records.get('1')?.reason).toBe('after 3 attempts: DITTO_TEST_REFUSED: never');
  });

  it('that can not be verified keep no others from beginning, and wait when that may pass', async () => {
    const world = new RepairWorld();
    await world.find(1);
    await world.turn();
    world.executeReads();
    await world.find(2);
    world.verifyError = new DittoError('DITTO_TEST_DOWN', 'not now', { retriable: true });
    await world.turn();
    expect([...world.repairs.records.values()]).toMatchObject([
      { state: 'verifying', attempts: 1, reason: 'DITTO_TEST_DOWN: not now' },
      { state: 'reading' },
    ]);
    world.verifyError = new DittoError('DITTO_TEST_TOO_LARGE', 'never');
    await world.settle();
    expect(world.repairs.records.get('1')).toMatchObject({
      ...{ state: 'given up', attempts: 3 },
      reason: 'after 3 attempts: DITTO_TEST_TOO_LARGE: never',
    });
  });

  it('of a key that the table has no more are given up before the others are read', async () => {
    const world = new RepairWorld();
    await world.findUnder('["a","b","c"]');
    await world.find(1);
    await world.turn();
    expect(world.states()).toEqual(['given up', 'reading']);
    expect([...world.reads.values()]).toMatchObject([{ scope: { keys: ['[1]'] } }]);
  });

  it('of a row that was damaged since they were planned make it overwritable', async () => {
    const world = new RepairWorld();
    world.mode = 'dry-run';
    await world.find(1);
    await world.turn();
    await world.find(1, 'damaged');
    world.mode = 'repair';
    await world.settle();
    expect(world.repairs.records.get('1')).toMatchObject({ state: 'repaired', attempts: 1 });
  });

  it('that DSS can not read say why', async () => {
    const world = new RepairWorld();
    await world.find(1);
    world.readError = { code: 'DITTO_READ_REFUSED', message: 'no key' };
    await world.settle();
    expect(world.repairs.records.get('1')).toMatchObject({
      state: 'given up',
      reason: expect.stringMatching(/after 3 attempts: the read .* is failed: DITTO_READ_REFUSED: no key/),
    });
  });

  it('wait while nothing can be judged, without counting that', async () => {
    const world = new RepairWorld();
    await world.find(1);
    world.copied = 'no';
    await world.settle(10);
    expect(world.states()).toEqual(['planned']);
    world.copied = 'yes';
    world.notJudged = { state: 'waiting', reason: 'the checkpoint stands still' };
    await world.settle(10);
    expect(world.repairs.records.get('1')).toMatchObject({ state: 'verifying', reason: 'the checkpoint stands still' });
    world.notJudged = null;
    await world.settle(3);
    expect(world.repairs.records.get('1')).toMatchObject({ state: 'repaired', attempts: 1 });
  });
});

describe('the policy of repairs', () => {
  it('takes the last pattern that matches', () => {
    const limits = { perHour: 1, breakerPerHour: 1, attempts: 1 };
    const policy = new RepairPolicy({
      mode: 'repair',
      tables: { 'shop.*': 'report', 'shop.orders': 'dry-run' },
      ...limits,
    });
    const modes = ['orders', 'lines'].map((table) => policy.modeOf({ database: 'shop', table }));
    expect([...modes, policy.modeOf({ database: 'other', table: 'orders' })]).toEqual(['dry-run', 'report', 'repair']);
  });

  it('report: nothing is planned; dry-run: nothing is done', async () => {
    const world = new RepairWorld();
    await world.find(1);
    world.mode = 'report';
    await world.settle(5);
    expect([world.states(), world.mismatchStates()]).toEqual([[], ['open']]);
    world.mode = 'dry-run';
    await world.settle(5);
    expect([world.states(), world.reads.size, world.audit]).toEqual([['planned'], 0, []]);
    world.mode = 'repair';
    await world.settle(5);
    expect(world.states()).toEqual(['repaired']);
  });

  it('dry-run: what is held keeps nothing waiting that a person asks for', async () => {
    const world = new RepairWorld();
    world.repairs.mostDue = 2;
    world.mode = 'dry-run';
    for (const key of [1, 2, 3]) await world.find(key);
    await world.turn();
    await world.find(4);
    const asked = await world.mismatches.find('4');
    await world.repairs.plan(asked === null ? [] : [asked], 'ann', world.nowMs);
    await world.settle(5);
    expect(world.states()).toEqual(['planned', 'planned', 'planned', 'repaired']);
  });

  it('begins no more in an hour than it says', async () => {
    const world = new RepairWorld();
    world.limits = { ...world.limits, perHour: 3 };
    for (let key = 0; key < 5; key++) await world.find(key);
    await world.settle(20);
    expect(world.states()).toEqual(['repaired', 'repaired', 'repaired']);
    world.nowMs += 3_600_000;
    await world.settle(20);
    expect(world.states()).toHaveLength(5);
  });

  it('stops a table in which too much differs, until a person closes the breaker', async () => {
    const world = new RepairWorld();
    world.limits = { ...world.limits, breakerPerHour: 3 };
    for (let key = 0; key < 4; key++) await world.find(key);
    await world.settle(20);
    expect([world.states(), world.audit]).toEqual([[], ['repairs.stop']]);
    expect([...world.repairs.breakers.values()]).toMatchObject([{ openedAtMs: 10_000_000, found: 4 }]);
    world.nowMs += 7_200_000;
    await world.settle(5);
    expect(world.states()).toEqual([]);
    await world.repairs.closeBreaker(
      's',
      { database: '', table: [...world.repairs.breakers.keys()][0] ?? '' },
      'a',
      world.nowMs,
    );
    await world.settle(20);
    expect(world.states()).toEqual(['repaired', 'repaired', 'repaired', 'repaired']);
  });
});
