import { describe, expect, it } from '@jest/globals';
import { type DittoConfig } from '#configuration';
import { DittoError } from '#kernel';
import { AuditLog, type AuditEntry, SchemaPipe } from '#platform';
import { type RequestedRead } from '#replication';
import { type SourceStores } from '../connections/source-stores.ts';
import { type SourceRegistry } from '../sources/source-registry.ts';
import { type ReadOrder } from '../sources/source-supervisor.ts';
import { readOrderSchema } from './read-order.ts';
import { ReadsController } from './reads.controller.ts';

class MemoryAudit extends AuditLog {
  readonly entries: AuditEntry[] = [];

  record(entry: AuditEntry): Promise<void> {
    this.entries.push(entry);
    return Promise.resolve();
  }
}

/** A store and the supervisor that accepts into it. */
class World {
  readonly audit = new MemoryAudit();
  readonly reads = new Map<string, RequestedRead>();
  readonly controller: ReadsController;

  constructor() {
    const stores = {
      find: (id: string) => Promise.resolve(this.reads.get(id) ?? null),
      list: () => Promise.resolve([...this.reads.values()].map((read) => ({ ...read, kind: read.scope.kind }))),
      cancel: (id: string) => {
        const read = this.reads.get(id);
        if (read?.endedAtMs !== null) return Promise.resolve(false);
        this.reads.set(id, { ...read, state: 'cancelled', endedAtMs: 2 });
        return Promise.resolve(true);
      },
    };
    const supervisor = {
      requestRead: (order: ReadOrder) => {
        const known = this.reads.get(order.id);
        if (known !== undefined && known.table !== order.table)
          return Promise.reject(new DittoError('DITTO_READ_ID_TAKEN', 'taken'));
        if (known === undefined) this.#add(order);
        return Promise.resolve();
      },
    };
    const shop = {
      ...{ name: 'shop', include: ['shop.*'], exclude: ['shop.hidden'] },
      ...{ excludeColumns: [], keys: {}, acceptGtids: '' },
    };
    this.controller = new ReadsController(
      { find: () => supervisor } as unknown as SourceRegistry,
      { reads: stores } as unknown as SourceStores,
      this.audit,
      { sources: { shop } } as unknown as DittoConfig,
    );
  }

  post(body: unknown, header?: string): ReturnType<ReadsController['accept']> {
    return this.controller.accept('shop', new SchemaPipe(readOrderSchema).transform(body), header, 'alice');
  }

  #add(order: ReadOrder): void {
    this.reads.set(order.id, {
      ...order,
      source: 'shop',
      keyCount: order.scope.kind === 'keys' ? order.scope.keys.length : null,
      ...{ state: 'accepted', counts: { read: 0, emitted: 0, gone: 0 }, confirmedKeys: 0, error: null },
      ...{ place: null, estimatedRows: null },
      ...{ acceptedAtMs: 1, startedAtMs: null, endedAtMs: null },
    });
  }
}

const order = { table: 'shop.orders', keys: [[1, 'a'], ['9007199254740993']], reason: 'they differ' };

describe('POST /sources/:source/reads', () => {
  it('accepts keys under the id of the caller, once, and records who asked', async () => {
    const world = new World();
    const accepted = await world.post({ ...order, id: 'r1' });
    expect(accepted).toMatchObject({ id: 'r1', table: 'shop.orders', kind: 'keys', keyCount: 2, state: 'accepted' });
    expect(world.reads.get('r1')).toMatchObject({
      scope: { keys: ['[1,"a"]', '["9007199254740993"]'] },
      actor: 'alice',
    });
    expect(await world.post(order, 'r1')).toEqual(accepted);
    expect(world.audit.entries).toEqual([
      {
        ...{ actor: 'alice', action: 'source.read', subject: 'shop' },
        details: { id: 'r1', table: 'shop.orders', kind: 'keys', keys: 2, reason: 'they differ' },
      },
    ]);
  });

  it('chooses an id where none is given, and reads the whole table where no key is', async () => {
    const { id, kind, keyCount } = await new World().post({ table: 'shop.orders', reason: 'they differ' });
    expect([id, kind, keyCount]).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), 'table', null]);
  });

  it.each([
    [{ reason: 'r' }, { table: null, kind: 'source' }, { kind: 'source' }],
    [
      { table: 'shop.orders', range: { to: [5, 'x'] }, reason: 'r' },
      { kind: 'range', range: { from: null, to: '[5,"x"]' } },
      { kind: 'range', from: null, to: '[5,"x"]' },
    ],
    [
      { table: 'shop.orders', where: [{ column: 'a', op: 'in', value: [1, 'x'] }], reason: 'r' },
      { kind: 'filter', where: [{ column: 'a', op: 'in', value: [1, 'x'] }] },
      { kind: 'filter', where: [{ column: 'a', op: 'in', value: [1, 'x'] }] },
    ],
  ])('accepts %j', async (body, shown, scope) => {
    const world = new World();
    expect(await world.post({ ...body, id: 'r1' })).toMatchObject(shown);
    expect(world.reads.get('r1')?.scope).toEqual(scope);
  });

  it('refuses an id that is taken by other rows', async () => {
    const world = new World();
    await world.post({ ...order, id: 'r1' });
    await expect(world.post({ ...order, table: 'shop.lines', id: 'r1' })).rejects.toMatchObject({
      status: 409,
      code: 'DITTO_READ_ID_TAKEN',
    });
  });

  it.each<[string, unknown, string | undefined, number, RegExp]>([
    [
      'everything that is wrong',
      { table: 'orders', keys: [[2 ** 60]], id: 'a b' },
      undefined,
      400,
      /id .*table .*keys.*reason /,
    ],
    ['two scopes at once', { ...order, range: { from: [1] } }, undefined, 400, /takes one of keys, range and where/],
    ['rows of no table', { keys: [[1]], reason: 'r' }, undefined, 400, /together with a table/],
    ['a range without an end', { table: 'shop.orders', range: {}, reason: 'r' }, undefined, 400, /needs from, to/],
    [
      'what is no condition',
      { table: 'shop.orders', where: [{ column: 'a', op: 'OR 1=1', value: { $gt: '' } }, 'a = 1'], reason: 'r' },
      undefined,
      400,
      /where\[0\].op .*where\[0\].value .*where\[1\]/,
    ],
    ['two ids', { ...order, id: 'a' }, 'b', 400, /Idempotency-Key is b/],
    ['a header that is no id', order, 'a b', 400, /must be 1 to 36/],
    ['a table that is left out', { ...order, table: 'shop.hidden' }, undefined, 422, /shop.hidden is not included/],
    ['a name that is too long', { ...order, table: `shop.${'x'.repeat(65)}` }, undefined, 422, /more than 64/],
  ])('refuses %s, and leaves no trace', async (_, body, header, status, message) => {
    const world = new World();
    await expect((async () => world.post(body, header))()).rejects.toMatchObject({
      status,
      message: expect.stringMatching(message),
    });
    expect([world.audit.entries, world.reads.size]).toEqual([[], 0]);
  });

  it('knows its sources', async () => {
    await expect(new World().controller.list('eu', { state: 'all', limit: 1 })).rejects.toMatchObject({ status: 404 });
  });
});

describe('GET and DELETE /sources/:source/reads', () => {
  it('lists in pages', async () => {
    const world = new World();
    await world.post({ ...order, id: 'r1' });
    const { reads, next } = await world.controller.list('shop', { state: 'open', limit: 1 });
    expect([reads.map(({ id }) => id), next]).toEqual([['r1'], 'r1']);
    expect((await world.controller.list('shop', { state: 'open', limit: 2 })).next).toBeNull();
    await expect(world.controller.list('shop', { state: 'all', limit: 1, after: 'r2' })).rejects.toMatchObject({
      status: 404,
    });
  });

  it('cancels what has not ended, and says so of what has', async () => {
    const world = new World();
    await world.post({ ...order, id: 'r1' });
    expect(await world.controller.cancel('shop', 'r1', 'bob')).toMatchObject({ state: 'cancelled' });
    expect(world.audit.entries.at(-1)).toMatchObject({ actor: 'bob', action: 'source.read.cancel', subject: 'shop' });
    await expect(world.controller.cancel('shop', 'r1', 'bob')).rejects.toMatchObject({
      status: 409,
      code: 'DITTO_READ_ENDED',
    });
    await expect(world.controller.find('shop', 'r2')).rejects.toMatchObject({
      status: 404,
      code: 'DITTO_READ_UNKNOWN',
    });
  });
});
