import { describe, expect, it } from '@jest/globals';
import { encodeKeyValues, type Row, rowOfKey, type TableLayout } from '#change-events';
import {
  type MismatchFilter,
  type MismatchRecord,
  type MismatchState,
  type NewMismatch,
  type RepairFilter,
  type RepairRecord,
  type RepairState,
  type TakenChunk,
  type TablePhase,
  type Verdict,
} from '#verification';
import { type ChunkOutcome, ChunkWork, type ChunkWorkOptions } from './chunk-work.ts';

const plain = { precision: 0, scale: 0, length: 0, unsigned: false, charset: null, labels: [] };
const layout: TableLayout = {
  ...{ database: 'shop', table: 'orders', key: [0], fingerprint: 'f' },
  columns: [{ ...plain, name: 'code', kind: 'text', type: 'varchar', charset: 'utf8mb4' }],
};
const keyText = (code: string): string => encodeKeyValues(layout, rowOfKey(layout, [code]));

interface Known {
  readonly state: MismatchState;
  readonly repair?: RepairState;
}

/** A table with mismatches of earlier runs, none of which this run has met. */
class Table {
  keyOrder = 'utf8mb4_0900_ai_ci';
  layout = layout;
  seesExtras = false;
  planned: string | null = null;
  /** Codes of rows that still differ. */
  readonly wrong = new Set<string>();
  readonly mismatches = new Map<string, MismatchState>();
  readonly repairs = new Map<string, RepairState>();

  know(code: string, { state, repair }: Known): void {
    this.mismatches.set(code, state);
    if (repair !== undefined) this.repairs.set(code, repair);
  }

  run(phase: TablePhase): Promise<ChunkOutcome> {
    const chunk = {
      id: '1',
      runId: 'r',
      database: 'shop',
      table: 'orders',
      sink: 'mongo',
      phase,
      after: null,
      end: null,
    };
    const run = { id: 'r', source: 'eu', scope: { kind: 'source' }, createdAtMs: 1000 };
    const table = { keySignature: this.planned };
    const signal = new AbortController().signal;
    return new ChunkWork(this.#options(), { chunk, run, table } as unknown as TakenChunk, signal).run();
  }

  #options(): ChunkWorkOptions {
    const details = { way: 'first' };
    const isIgnored = ({ key }: NewMismatch): boolean =>
      [...this.mismatches].some(([code, state]) => state === 'ignored' && keyText(code) === key);
    const verifyKeys = (_: unknown, __: unknown, keys: readonly Row[]): Promise<Verdict> => {
      const differ = keys.filter(([code]) => this.wrong.has(String(code)));
      const mismatches = differ.map(
        (key) => ({ kind: 'missing', differences: [], damage: null, key, row: null, stored: null }) as const,
      );
      return Promise.resolve({
        state: 'judged',
        equal: keys.length - differ.length,
        mismatches,
        unsettled: [],
        quarantined: [],
      });
    };
    const options = {
      runs: {
        plan: (_: unknown, { keySignature }: { readonly keySignature: string }) => {
          this.planned = keySignature;
          return Promise.resolve([]);
        },
        restart: () => Promise.resolve([]),
        recordEnd: () => Promise.resolve({ end: { until: null, isLast: true }, next: null }),
        complete: () => Promise.resolve([]),
      },
      mismatches: {
        record: () => Promise.resolve([]),
        countIgnored: (found: readonly NewMismatch[]) => Promise.resolve(found.filter(isIgnored).length),
        list: ({ states = [], exceptKind }: MismatchFilter) => {
          const found = [...this.mismatches].filter(
            ([code, state]) => states.includes(state) && (code === 'gap' ? 'gap' : 'missing') !== exceptKind,
          );
          return Promise.resolve(
            found.map(
              ([code, state]) => ({ id: code, key: keyText(code), isKey: true, state, details }) as MismatchRecord,
            ),
          );
        },
        changeState: (id: string, from: readonly MismatchState[], { to }: { readonly to: MismatchState }) => {
          const holds = from.includes(this.mismatches.get(id) as MismatchState);
          if (holds) this.mismatches.set(id, to);
          return Promise.resolve(holds);
        },
      },
      repairs: {
        list: ({ mismatchId = '', states = [] }: RepairFilter) => {
          const state = this.repairs.get(mismatchId);
          const isListed = state !== undefined && states.includes(state);
          return Promise.resolve(isListed ? [{ id: mismatchId, state } as RepairRecord] : []);
        },
        change: ([id = '']: readonly string[], from: readonly RepairState[], { to }: { readonly to: RepairState }) => {
          const holds = from.includes(this.repairs.get(id) as RepairState);
          if (holds) this.repairs.set(id, to);
          return Promise.resolve(Number(holds));
        },
      },
      source: {
        stream: { readTable: () => Promise.resolve({ generation: 1, copied: 'yes', layout: this.layout }) },
        reader: {
          estimateRows: () => Promise.resolve([5]),
          readKeyOrder: () => Promise.resolve(this.keyOrder),
        },
        verifier: () => Promise.resolve({ verifyKeys }),
        sink: () => Promise.resolve({ seesExtras: () => this.seesExtras }),
      },
      ...{ chunkRows: 10, onDue: () => undefined, onFound: () => undefined },
    };
    return options as unknown as ChunkWorkOptions;
  }
}

describe('ChunkWork', () => {
  it('rechecks all that may differ; what is equal by now is gone, unless a repair has begun', async () => {
    const table = new Table();
    const known: readonly (readonly [string, Known])[] = [
      ['open', { state: 'open' }],
      ['ignored', { state: 'ignored' }],
      ['given up', { state: 'given up', repair: 'given up' }],
      ['planned', { state: 'repairing', repair: 'planned' }],
      ['failed', { state: 'repairing', repair: 'failed' }],
      ['reading', { state: 'repairing', repair: 'reading' }],
      ['verifying', { state: 'repairing', repair: 'verifying' }],
      ['still wrong', { state: 'repairing', repair: 'planned' }],
      // a message that was lost stays so, whatever its row is
      ['gap', { state: 'open' }],
    ];
    for (const [code, of] of known) table.know(code, of);
    table.wrong.add('still wrong');
    await table.run('planning');
    expect(await table.run('rechecks')).toMatchObject({ kind: 'done', counts: { first: { mismatches: 1 } } });
    expect(Object.fromEntries(table.mismatches)).toEqual({
      ...{ open: 'gone', ignored: 'gone', 'given up': 'gone', planned: 'gone', failed: 'gone' },
      ...{ reading: 'repairing', verifying: 'repairing', 'still wrong': 'repairing', gap: 'open' },
    });
    expect(Object.fromEntries(table.repairs)).toEqual({
      ...{ 'given up': 'given up', planned: 'given up', failed: 'given up' },
      ...{ reading: 'reading', verifying: 'verifying', 'still wrong': 'planned' },
    });
  });

  it('counts what differs and is ignored at that moment apart', async () => {
    const table = new Table();
    for (const code of ['open', 'ignored', 'ignored too']) {
      table.know(code, { state: code === 'open' ? 'open' : 'ignored' });
      table.wrong.add(code);
    }
    await table.run('planning');
    const counts = { first: { mismatches: 3, ignored: 2 }, second: { mismatches: 0, ignored: 0 } };
    expect(await table.run('rechecks')).toMatchObject({ kind: 'done', counts });
  });

  it.each<[string, (table: Table) => void]>([
    ['the collation of the key', (table) => (table.keyOrder = 'utf8mb4_bin')],
    [
      'its type',
      (table) => (table.layout = { ...layout, columns: [{ ...plain, name: 'code', kind: 'integer', type: 'int' }] }),
    ],
    [
      'the labels of an ENUM',
      (table) =>
        (table.layout = {
          ...layout,
          columns: [{ ...plain, name: 'code', kind: 'enum', type: 'enum', labels: ['b', 'a'] }],
        }),
    ],
    ['a worker that looks for extras along with the rows', (table) => (table.seesExtras = true)],
  ])('begins a table again when its chunks would be done in another way: %s', async (_, change) => {
    const table = new Table();
    table.layout = { ...layout, columns: [{ ...plain, name: 'code', kind: 'enum', type: 'enum', labels: ['a', 'b'] }] };
    await table.run('planning');
    expect(await table.run('rechecks')).toMatchObject({ kind: 'done' });
    change(table);
    expect(await table.run('rechecks')).toEqual({ kind: 'begun again', due: [] });
  });
});
