import { describe, expect, it } from '@jest/globals';
import { type DittoConfig } from '#configuration';
import { type DcsClient } from '#dcs-client';
import { AuditLog, type AuditEntry } from '#platform';
import { type SourceStores } from '../connections/source-stores.ts';
import { type SourceRegistry } from '../sources/source-registry.ts';
import { type SourceState } from '../sources/source-status.ts';
import { SourcesController } from './sources.controller.ts';

class MemoryAudit extends AuditLog {
  readonly entries: AuditEntry[] = [];

  record(entry: AuditEntry): Promise<void> {
    this.entries.push(entry);
    return Promise.resolve();
  }
}

function build(
  state: SourceState,
  {
    owner = 'o',
    mode = 'windowed',
    granted = true,
    code,
    switchCode,
  }: { owner?: string | null; mode?: string; granted?: boolean; code?: string; switchCode?: string } = {},
): { controller: SourcesController; audit: MemoryAudit; asked: string[] } {
  const audit = new MemoryAudit();
  const asked: string[] = [];
  const supervisor = {
    status: () => ({
      state,
      owner,
      lineage: 3,
      checkpoint: null,
      refusedServers: [],
      error: code === undefined ? null : { code },
      lastSwitch: { error: { code: 'DITTO_SOURCE_LOG_UNPROVEN' } },
    }),
    switchError: switchCode === undefined ? null : { code: switchCode },
    resync: (by: string) => {
      asked.push(by);
      return Promise.resolve(granted);
    },
    rewind: (by: string) => {
      asked.push(`rewound by ${by}`);
      return Promise.resolve(granted);
    },
    acceptLog: (by: string) => {
      asked.push(`accepted by ${by}`);
      return Promise.resolve(granted);
    },
  };
  const stores: unknown = {
    placements: {
      place: (source: string, placement: { instance: string } | null) => {
        asked.push(`${source} placed on ${placement?.instance ?? 'any'}`);
        return Promise.resolve(granted);
      },
    },
  };
  const report = { service: 'dss', details: { sources: [{ name: 'shop' }] } };
  const directory: unknown = {
    listServices: () =>
      Promise.resolve([
        { ...report, instance: 'host-1/7/abc' },
        { ...report, instance: 'host-2/8/abc' },
        { ...report, instance: 'host-2/9/abc' },
        { ...report, instance: 'host-3/1/abc', details: { sources: [] } },
        { ...report, instance: 'host-4/1/abc', service: 'dws' },
      ]),
    listLeases: () => Promise.resolve(owner === null ? [] : [{ source: 'shop', owner }]),
  };
  const registry = {
    lookAtShares: () => asked.push('looked'),
    find: (source: string) => (source === 'shop' ? supervisor : undefined),
  };
  const config = { sources: { shop: { snapshot: { mode } } } } as unknown as DittoConfig;
  const controller = new SourcesController(
    registry as unknown as SourceRegistry,
    audit,
    stores as SourceStores,
    directory as DcsClient,
    config,
  );
  return { controller, audit, asked };
}

describe('POST /sources/:source/resync', () => {
  it.each(['streaming', 'failed'] as const)('is recorded, then done, for a source that is %s', async (state) => {
    const { controller, audit, asked } = build(state);
    expect(await controller.resync('shop', 'alice')).toEqual({ resyncing: 'shop' });
    expect(asked).toEqual(['alice']);
    expect(audit.entries).toMatchObject([{ actor: 'alice', action: 'source.resync', subject: 'shop' }]);
  });

  it.each([
    ['an unknown source', build('streaming'), 'eu', 404, 'DITTO_SOURCE_UNKNOWN'],
    ['not this instance', build('waiting-for-lease', { owner: null }), 'shop', 409, 'DITTO_SOURCE_NOT_OWNED'],
    ['a source that starts', build('starting'), 'shop', 409, 'DITTO_SOURCE_NOT_SETTLED'],
    ['a source without snapshots', build('failed', { mode: 'none' }), 'shop', 409, 'DITTO_SOURCE_SNAPSHOTS_OFF'],
  ])('is refused for %s, and leaves no trace', async (_, { controller, audit, asked }, source, status, code) => {
    await expect(controller.resync(source, 'alice')).rejects.toMatchObject({ status, code });
    expect([audit.entries, asked]).toEqual([[], []]);
  });

  it('I5: is refused when the lease has gone to another', async () => {
    const { controller } = build('failed', { granted: false });
    await expect(controller.resync('shop', 'alice')).rejects.toMatchObject({ code: 'DITTO_SOURCE_NOT_OWNED' });
  });
});

describe('POST /sources/:source/rewind', () => {
  const code = 'DITTO_KAFKA_CONFIRMED_LOST';

  it('I1: is recorded, then done, for a source of which confirmed messages are gone', async () => {
    const { controller, audit, asked } = build('failed', { code });
    expect(await controller.rewind('shop', 'alice')).toEqual({ rewinding: 'shop' });
    expect(asked).toEqual(['rewound by alice']);
    expect(audit.entries).toMatchObject([{ actor: 'alice', action: 'source.rewind', subject: 'shop' }]);
  });

  it.each([
    ['an unknown source', build('failed', { code }), 'eu', 404, 'DITTO_SOURCE_UNKNOWN'],
    ['not this instance', build('failed', { code, owner: null }), 'shop', 409, 'DITTO_SOURCE_NOT_OWNED'],
    ['a source that streams', build('streaming'), 'shop', 409, 'DITTO_SOURCE_NOTHING_LOST'],
    ['another stop', build('failed', { code: 'DITTO_KAFKA_TLS' }), 'shop', 409, 'DITTO_SOURCE_NOTHING_LOST'],
  ])('is refused for %s, and leaves no trace', async (_, { controller, audit, asked }, source, status, refusal) => {
    await expect(controller.rewind(source, 'alice')).rejects.toMatchObject({ status, code: refusal });
    expect([audit.entries, asked]).toEqual([[], []]);
  });
});

describe('POST /sources/:source/accept-log', () => {
  const code = 'DITTO_SOURCE_LOG_UNPROVEN';

  it('I7: is recorded, then done, for a source whose log proves nothing', async () => {
    const { controller, audit, asked } = build('failed', { code });
    expect(await controller.acceptLog('shop', 'alice')).toEqual({ accepted: 'shop' });
    expect(asked).toEqual(['accepted by alice']);
    expect(audit.entries).toMatchObject([{ actor: 'alice', action: 'source.accept-log', subject: 'shop' }]);
  });

  it('I7: is done where a loss could not be given up for that, whatever the source has stopped with since', async () => {
    for (const world of [
      build('failed', { code: 'DITTO_SOURCE_GTIDS_MISSING', switchCode: code }),
      build('starting', { switchCode: code }),
    ]) {
      expect(await world.controller.acceptLog('shop', 'alice')).toEqual({ accepted: 'shop' });
      expect(world.asked).toEqual(['accepted by alice']);
    }
  });

  it.each([
    ['an unknown source', build('failed', { code }), 'eu', 404, 'DITTO_SOURCE_UNKNOWN'],
    ['not this instance', build('failed', { code, owner: null }), 'shop', 409, 'DITTO_SOURCE_NOT_OWNED'],
    ['a source that runs', build('streaming'), 'shop', 409, 'DITTO_SOURCE_LOG_NOT_IN_DOUBT'],
    [
      'one that has run since a switch has failed for that',
      build('failed', { code: 'DITTO_KAFKA_TLS' }),
      'shop',
      409,
      'DITTO_SOURCE_LOG_NOT_IN_DOUBT',
    ],
    [
      'a log that is another',
      build('failed', { code: 'DITTO_SOURCE_LOG_REPLACED' }),
      'shop',
      409,
      'DITTO_SOURCE_LOG_NOT_IN_DOUBT',
    ],
  ])('I7: is refused for %s, and leaves no trace', async (_, { controller, audit, asked }, source, status, refusal) => {
    await expect(controller.acceptLog(source, 'alice')).rejects.toMatchObject({ status, code: refusal });
    expect([audit.entries, asked]).toEqual([[], []]);
  });
});

describe('POST /sources/:source/move', () => {
  it.each([
    ['host-1', 'host-1/7/abc'],
    ['host-2/9/abc', 'host-2/9/abc'],
    [null, null],
  ])('is recorded, then kept for the owner, by any instance: %s', async (to, target) => {
    const { controller, audit, asked } = build('waiting-for-lease');
    expect(await controller.move('shop', { to }, 'alice')).toEqual({ moving: 'shop', to: target, from: 'o' });
    expect(asked).toEqual([`shop placed on ${target ?? 'any'}`, 'looked']);
    const details = { to: target, from: 'o' };
    expect(audit.entries).toEqual([{ actor: 'alice', action: 'source.move', subject: 'shop', details }]);
  });

  it.each([
    ['an unknown source', 'eu', 'host-1', 404, 'DITTO_SOURCE_UNKNOWN'],
    ['a host of two instances', 'shop', 'host-2', 409, 'DITTO_INSTANCE_UNKNOWN'],
    ['the beginning of a name', 'shop', 'host', 409, 'DITTO_INSTANCE_UNKNOWN'],
    ['an instance without the source', 'shop', 'host-3', 409, 'DITTO_INSTANCE_UNKNOWN'],
    ['another service', 'shop', 'host-4', 409, 'DITTO_INSTANCE_UNKNOWN'],
  ])('is refused for %s, and leaves no trace', async (_, source, to, status, code) => {
    const { controller, audit, asked } = build('streaming');
    await expect(controller.move(source, { to }, 'alice')).rejects.toMatchObject({ status, code });
    expect([audit.entries, asked]).toEqual([[], []]);
  });

  it('is refused for a source that nobody has run yet', async () => {
    const { controller } = build('waiting-for-lease', { owner: null, granted: false });
    await expect(controller.move('shop', { to: null }, 'alice')).rejects.toMatchObject({
      code: 'DITTO_SOURCE_NOT_OWNED',
    });
  });
});
