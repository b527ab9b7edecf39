import { describe, expect, it } from '@jest/globals';
import { type DittoConfig } from '#configuration';
import { SchemaPipe } from '#platform';
import { type MismatchState } from '#verification';
import { type SourceRepairs } from '../repairs/source-repairs.ts';
import { repairQuerySchema, resumeSchema } from './repair-query.ts';
import { RepairsController } from './repairs.controller.ts';

interface Called {
  filter?: unknown;
  repaired?: string;
  resumed?: unknown;
}

function build(
  state: MismatchState | null,
  isStopped = true,
  kind = 'missing',
): { controller: RepairsController; called: Called } {
  const called: Called = {};
  const repairs = {
    mismatches: { find: () => Promise.resolve(state && { id: '7', source: 'shop', state, kind }) },
    repairs: {
      find: () => Promise.resolve(null),
      list: (filter: unknown) => {
        called.filter = filter;
        return Promise.resolve([]);
      },
    },
    repairOne: (_: unknown, actor: string) => {
      called.repaired = actor;
      return Promise.resolve(true);
    },
    resume: (source: string, table: unknown, actor: string) => {
      if (isStopped) called.resumed = [source, table, actor];
      return Promise.resolve(isStopped);
    },
  };
  const config = { sources: { shop: {} } } as unknown as DittoConfig;
  return { controller: new RepairsController(repairs as unknown as SourceRepairs, config), called };
}

describe('POST /mismatches/:id/repair', () => {
  it.each<MismatchState>(['open', 'repairing', 'given up', 'ignored'])(
    'begins a repair of one that is %s, in the name of who asks',
    async (state) => {
      const { controller, called } = build(state);
      expect(await controller.repair('7', 'alice')).toEqual({ mismatch: '7' });
      expect(called.repaired).toBe('alice');
    },
  );

  it.each<[MismatchState | null, number, string]>([
    [null, 404, 'DITTO_MISMATCH_UNKNOWN'],
    ['repaired', 409, 'DITTO_MISMATCH_ENDED'],
    ['gone', 409, 'DITTO_MISMATCH_ENDED'],
  ])('refuses one that is %s, and begins nothing', async (state, status, code) => {
    const { controller, called } = build(state);
    await expect(controller.repair('7', 'alice')).rejects.toMatchObject({ status, code });
    expect(called).toEqual({});
  });
});

describe('POST /mismatches/:id/repair of a lost message', () => {
  it('is refused: nothing can be put back in its place', async () => {
    const { controller, called } = build('open', true, 'gap');
    await expect(controller.repair('7', 'alice')).rejects.toMatchObject({ status: 409, code: 'DITTO_MISMATCH_LASTS' });
    expect(called).toEqual({});
  });
});

describe('POST /repairs/resume', () => {
  const order = new SchemaPipe(resumeSchema).transform({ source: 'shop', table: '`a.b`.c' });

  it('closes the breaker of a table', async () => {
    const { controller, called } = build(null);
    expect(await controller.resume(order, 'alice')).toEqual({ resumed: '`a.b`.c' });
    expect(called.resumed).toEqual(['shop', { database: 'a.b', table: 'c' }, 'alice']);
  });

  it('refuses what is not stopped, a source that is not there, and a text that is no table', async () => {
    const { controller } = build(null, false);
    await expect(controller.resume(order, 'alice')).rejects.toMatchObject({ status: 409 });
    await expect(controller.resume({ ...order, source: 'eu' }, 'alice')).rejects.toMatchObject({ status: 404 });
    expect(() => new SchemaPipe(resumeSchema).transform({ source: 'shop', table: 'orders' })).toThrow(/database/);
  });
});

describe('GET /repairs', () => {
  it('filters by source, table, sink, state and mismatch', async () => {
    const { controller, called } = build(null);
    const query = { source: 'shop', table: 'shop.orders', sink: 'mongo', state: 'given up', mismatch: '7', limit: '1' };
    await controller.list(new SchemaPipe(repairQuerySchema).transform(query));
    expect(called.filter).toEqual({
      ...{ source: 'shop', database: 'shop', table: 'orders', sink: 'mongo' },
      ...{ states: ['given up'], mismatchId: '7' },
    });
    await expect(controller.find('9')).rejects.toMatchObject({ status: 404, code: 'DITTO_REPAIR_UNKNOWN' });
  });
});
