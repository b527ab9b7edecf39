import { describe, expect, test } from '@jest/globals';
import type { DssStatus } from './dss-status.ts';
import { type LiveFigures, LiveView, renderFigures, renderSummary } from './live-view.ts';

const latency = { p50: 3.4, p95: 8, p99: 12, max: 20, count: 500 };
const status: DssStatus = {
  name: 'demo',
  state: 'streaming',
  lineage: 1,
  server: { endpoint: '127.0.0.1:3306' },
  refusedServers: [],
  lastSwitch: null,
  checkpoint: {
    source: 'demo',
    lineage: 1,
    position: {
      gtidSet: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-54321',
      file: 'binlog.000002',
      offset: 4711,
      serverUuid: '3e11fa47-71ca-11e1-9e33-c80aa9429562',
    },
    dispatchedSet: '',
    undecidedSet: '',
    version: '',
    commitMicros: 1,
    lastCovered: null,
    lastDispatched: null,
    savedAtMs: 1,
  },
  pipeline: null,
  sinks: {
    mongo: {
      bytesInFlight: 0,
      changesInFlight: 0,
      confirmedChanges: 1,
      retries: 3,
      counters: {},
      holdingBecause: 'connection refused',
    },
  },
  snapshot: [
    {
      database: 'shop',
      table: 'orders',
      state: 'running',
      rowsRead: 5_000,
      estimatedRows: 20_000,
      reason: null,
      again: false,
      error: null,
      attempts: 0,
      failingSinceMs: null,
      rowsPerSecond: 2_500,
      remainingMs: 6_000,
    },
    {
      database: 'shop',
      table: 'customers',
      state: 'done',
      rowsRead: 30_000,
      estimatedRows: 28_000,
      reason: null,
      again: false,
      error: null,
      attempts: 0,
      failingSinceMs: null,
      rowsPerSecond: 0,
      remainingMs: null,
    },
  ],
  rowsPerSecond: 2_500,
  latencyMs: { kafka: latency },
  lagMs: 15,
  error: null,
};
const writer = { transactions: 1_200, inserted: 3_000, updated: 2_000, deleted: 500, rekeyed: 100, rolledBack: 20 };
const figures: LiveFigures = { phase: 'copying', elapsedMs: 61_000, status, writer };

describe('figures', () => {
  const lines = renderFigures(figures, 100);

  test('show rate, latency, lag, position and progress per table with an estimate', () => {
    const text = lines.join('\n');
    expect(text).toContain('2,500');
    expect(text).toContain('Kafka p50 3.4 ms p99 12 ms');
    expect(text).toContain('MongoDB –');
    expect(text).toContain('lag        15 ms');
    expect(text).toContain('binlog.000002:4711');
    expect(text).toContain(':1-54321');
    expect(lines.find((line) => line.startsWith('shop.orders'))).toMatch(/████░+ +5,000 rows {2}about 6\.0 s left/);
    expect(lines.find((line) => line.startsWith('shop.customers'))).toContain('done');
    expect(text).toContain('mongo holds: connection refused');
  });

  test('no line is wider than the terminal', () => {
    expect(Math.max(...renderFigures(figures, 40).map(({ length }) => length))).toBeLessThanOrEqual(40);
  });

  test('before DSS answers nothing is invented', () => {
    expect(renderFigures({ ...figures, status: null }, 100)).toContain('DSS has not answered yet');
  });

  test('while the server is lost, show why no other one is taken yet; then where the source went, and how that was proven', () => {
    const refused = { endpoint: '127.0.0.1:3307', code: 'DITTO_SOURCE_REPLICA_STALE' };
    const lost = { ...status, refusedServers: [{ ...refused, endpoint: '127.0.0.1:3306' }, refused] };
    expect(renderFigures({ ...figures, status: lost }, 100).filter((line) => line.includes('REPLICA_STALE'))).toEqual([
      'candidate  127.0.0.1:3307 is not taken yet: DITTO_SOURCE_REPLICA_STALE',
    ]);
    const lastSwitch = { to: '127.0.0.1:3307', askedBy: null, tookMs: 1_900, healing: null };
    const moved = { ...status, server: { endpoint: '127.0.0.1:3307' }, lastSwitch };
    const proven = 'to 127.0.0.1:3307 by itself in 1.9 s: proven to have all that was read';
    expect(renderFigures({ ...figures, status: moved }, 100)).toContain(`switched   ${proven}`);
    expect(renderSummary({ ...figures, status: moved })).toContain(` · switched ${proven} · `);
    const healed = { ...moved, lastSwitch: { ...lastSwitch, askedBy: 'kim', healing: { gtids: 'uuid:5' } } };
    expect(renderSummary({ ...figures, status: healed })).toContain('as kim asked in 1.9 s: what it lacks is given up');
  });

  test('the summary is one line', () => {
    expect(renderSummary(figures)).toMatch(
      /^1 min 01 s copying · 2,500 rows\/s · .*copied 35,000 rows, 1\/2 tables.*$/,
    );
  });
});

/** A stream that keeps what is written to it. */
function record(isTTY: boolean): { stream: NodeJS.WriteStream; text: () => string } {
  let written = '';
  const stream = {
    isTTY,
    columns: 100,
    write: (text: string) => ((written += text), true),
  } as unknown as NodeJS.WriteStream;
  return { stream, text: () => written };
}

describe('the view', () => {
  test('redraws in place on a terminal, and lines stay above the figures', () => {
    const { stream, text } = record(true);
    const view = new LiveView(stream);
    view.show(figures);
    view.show(figures);
    const height = renderFigures(figures, 99).length;
    expect(text().split(`\u001b[${height}A\u001b[0J`)).toHaveLength(2);
    view.line('a line');
    expect(text()).toMatch(/\[0Ja line\n$/);
  });

  test('elsewhere writes a line every two seconds and no escape codes', () => {
    const { stream, text } = record(false);
    const view = new LiveView(stream);
    view.show(figures);
    view.show(figures);
    expect(text().match(/\n/g)).toHaveLength(1);
    expect(text()).not.toContain('\u001b');
  });
});
