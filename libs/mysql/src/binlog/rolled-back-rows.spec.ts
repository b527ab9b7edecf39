import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { crc32 } from 'node:zlib';
import { type SourceItem } from '#replication';
import { columnRules } from '../layout/column-choice.ts';
import { anonymous, event, insertRows, query, rotate, tableMap, UUID } from '../../test/log-events.ts';
import { ContentDigest } from './content-digest.ts';
import { EventType } from './event-header.ts';
import { EventReader } from './event-reader.ts';
import { EventAssembler, eventSize } from './nested-events.ts';
import { PlaceProof } from './place-proof.ts';
import { TableCache } from './table-cache.ts';
import { type XaStoreOptions } from './xa-store.ts';

const includes = (_database: string, table: string): boolean => table !== 'excluded';
const facts = { charsetOfCollation: new Map(), maxLength: new Map(), tables: new Map() };

type Step =
  | { readonly release: string }
  | { readonly rows: number; readonly table: 't' | 'excluded' }
  | { readonly set: string }
  | { readonly backTo: string };
const name = fc.constantFrom('a', 'b');
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ rows: fc.integer({ min: 1, max: 3 }), table: fc.constantFrom('t', 'excluded') }),
  },
  { weight: 2, arbitrary: fc.record({ set: name }) },
  { weight: 2, arbitrary: fc.record({ backTo: name }) },
  { weight: 1, arbitrary: fc.record({ release: name }) },
);
/** Sequence number, domain and flags: 1 for a statement that is the whole transaction, else the event is its BEGIN too. */
function mariaDbGtid(sequence: number, flags: number): Buffer {
  const body = Buffer.alloc(19);
  body.writeBigUInt64LE(BigInt(sequence));
  body.writeUInt8(flags, 12);
  return event(EventType.mariaDbGtid, body, 300);
}

const beginnings = { mysql: [anonymous(300), query('BEGIN', 380)], mariadb: [mariaDbGtid(5, 0)] };
const transaction = fc.record({
  server: fc.constantFrom('mysql', 'mariadb'),
  steps: fc.array(step, { maxLength: 20 }),
  ending: fc.constantFrom('COMMIT', 'ROLLBACK'),
});

/** A row image that was counted: of which table, and its value. */
type Image = readonly ['t' | 'excluded', number];

interface Model {
  readonly images: Image[];
  hasRolledBack: boolean;
  /** A rollback to a savepoint that the log does not show, after rows that may be among those. */
  isRefused: boolean;
}

function modelOf(steps: readonly Step[], values: readonly (readonly number[])[]): Model {
  const model: Model = { images: [], hasRolledBack: false, isRefused: false };
  const savepoints: [string, number][] = [];
  for (const [i, next] of steps.entries()) {
    if ('rows' in next) model.images.push(...(values[i] ?? []).map((value) => [next.table, value] as const));
    else if ('set' in next) {
      const known = savepoints.findIndex(([set]) => set === next.set);
      if (known >= 0) savepoints.splice(known, 1);
      savepoints.push([next.set, model.images.length]);
    } else if ('backTo' in next) {
      const at = savepoints.findIndex(([set]) => set === next.backTo);
      if (at < 0) {
        model.isRefused = model.images.some(([table]) => table === 't');
        if (model.isRefused) return model;
        continue;
      }
      model.images.length = (savepoints[at] as [string, number])[1];
      savepoints.splice(at + 1);
      model.hasRolledBack = true;
    }
  }
  return model;
}

function statementOf(next: Step): string {
  if ('rows' in next) return '';
  if ('set' in next) return `SAVEPOINT \`${next.set}\``;
  return 'backTo' in next ? `ROLLBACK TO \`${next.backTo}\`` : `RELEASE SAVEPOINT \`${next.release}\``;
}

function eventsOf(steps: readonly Step[], values: readonly (readonly number[])[]): Buffer[] {
  return steps.map((next, i) => {
    return 'rows' in next ? insertRows(next.table, values[i] ?? [], 500) : query(statementOf(next), 500);
  });
}

interface Reading {
  readonly items: SourceItem[];
  readonly code: string | null;
}

async function readAll(events: readonly Buffer[], xaStore: XaStoreOptions = {}): Promise<Reading> {
  const items: SourceItem[] = [];
  const reader = new EventReader({
    tables: new TableCache({ includes, facts, kind: 'mysql', rules: columnRules({}) }),
    characterSets: facts,
    includes,
    serverUuid: UUID,
    emit: (item) => {
      items.push(item);
    },
    place: new PlaceProof({ file: 'binlog.000009', offset: 4 }, 4),
    digest: new ContentDigest(),
    xaStore,
  });
  reader.expectChecksums(true);
  try {
    for (const bytes of [rotate('binlog.000009', 4), ...events]) {
      reader.read(bytes, 0, bytes.length);
      await readNested(reader);
    }
  } catch (error) {
    return { items, code: (error as { code: string }).code };
  } finally {
    reader.close();
  }
  return { items, code: null };
}

async function readNested(reader: EventReader): Promise<void> {
  const found = reader.takeNested();
  if (found === null) return;
  const assembler = new EventAssembler();
  for (let piece = await found.pieces.next(); piece !== null; piece = await found.pieces.next()) {
    const events = assembler.push(piece);
    for (let at = 0; at < events.length; at += eventSize(events, at))
      reader.readNested(events, at, at + eventSize(events, at));
  }
  found.onEnd();
}

/** What was given of one transaction: each row with its index. */
function rowsOf(items: readonly SourceItem[]): (readonly [number, unknown])[] {
  return items.flatMap((item) =>
    item.type === 'rows'
      ? Array.from({ length: item.after?.count ?? 0 }, (_, i) => [item.firstRowIndex + i, item.after?.row(i)] as const)
      : [],
  );
}

function digestsOf(items: readonly SourceItem[]): unknown[] {
  return items.flatMap((item) => (item.type === 'end' ? [item.digest ?? null] : []));
}

function digestOf(images: readonly Image[], statements: string): string {
  const bytes = Buffer.from(images.flatMap(([, value]) => [0, value]));
  const hex = (crc: number): string => crc.toString(16).padStart(8, '0');
  return `${hex(crc32(bytes))}/${bytes.length}+${hex(crc32(statements))}`;
}

describe('rows that the log shows as rolled back', () => {
  test('I3, I6, I7: are not given, those before and after them are, with the indexes that the source counts', async () => {
    const seen = { kept: 0, cut: 0, refused: 0, digests: 0 };
    await fc.assert(
      fc.asyncProperty(transaction, transaction, async (...both) => {
        let value = 0;
        const [all, single]: [Buffer[], SourceItem[]] = [[], []];
        for (const { server, steps, ending } of both) {
          const values = steps.map((next) =>
            'rows' in next ? Array.from({ length: next.rows }, () => ++value % 128) : [],
          );
          const model = modelOf(steps, values);
          const end = ending === 'COMMIT' ? event(EventType.xid, Buffer.alloc(8), 900) : query(ending, 900);
          const begun = [...beginnings[server], tableMap('t', 420), tableMap('excluded', 430)];
          const events = [...begun, ...eventsOf(steps, values), end];
          const { items, code } = await readAll(events);
          if (model.isRefused) {
            expect([code, items]).toEqual(['DITTO_SOURCE_ROLLED_BACK_ROWS', []]);
            seen.refused++;
            continue;
          }
          all.push(...events);
          single.push(...items);
          const kept = ending === 'COMMIT' ? model.images : [];
          expect(code).toBeNull();
          expect(rowsOf(items)).toEqual(
            kept.flatMap(([table, row], index) => (table === 't' ? [[index, [row]] as const] : [])),
          );
          const gtid = server === 'mysql' ? null : '0-7-5';
          expect(items[0]).toMatchObject({ type: 'begin', transaction: { gtid, preparedGtid: null } });
          expect(items.at(-1)?.type).toBe('end');
          expect(items.filter(({ type }) => type === 'rows').length).toBe(items.length - 2);
          if (model.hasRolledBack || ending === 'ROLLBACK') expect(items.at(-1)).not.toHaveProperty('digest');
          else expect(items.at(-1)).toMatchObject({ digest: digestOf(model.images, steps.map(statementOf).join('')) });
          seen.digests += Number('digest' in (items.at(-1) ?? {}));
          seen.kept += Number(kept.length > 0);
          seen.cut += Number(model.hasRolledBack);
        }
        // one after the other they are what they are alone
        const { items, code } = await readAll(all);
        expect([code, rowsOf(items), digestsOf(items)]).toEqual([null, rowsOf(single), digestsOf(single)]);
      }),
      { numRuns: 250 },
    );
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(20);
  });

  test('a statement of MariaDB that is the whole transaction ends it, one after a BEGIN does not', async () => {
    const statements = [query('TRUNCATE t', 400), query('TRUNCATE excluded', 500)];
    const types = async (flags: number, ...events: readonly Buffer[]): Promise<unknown[]> =>
      (await readAll([mariaDbGtid(5, flags), ...events])).items.map(({ type }) => type);
    expect(await types(1, ...statements.slice(1))).toEqual(['begin', 'statement', 'end']);
    const end = event(EventType.xid, Buffer.alloc(8), 900);
    expect(await types(0, ...statements)).toEqual([]);
    expect(await types(0, ...statements, end)).toEqual(['begin', 'statement', 'statement', 'end']);
  });

  test('I6: rows of an XA transaction of MariaDB wait for its outcome in another transaction', async () => {
    const xid = Buffer.concat([Buffer.of(1, 0, 0, 0, 1, 0), Buffer.from('a')]);
    const prepared = Buffer.concat([mariaDbGtid(5, 0x40).subarray(19, 19 + 13), xid]);
    const begun = [
      ...[event(EventType.mariaDbGtid, prepared, 300), tableMap('t', 420), tableMap('excluded', 430)],
      ...[
        insertRows('excluded', [1], 450),
        insertRows('t', [1, 2], 460),
        event(EventType.xaPrepare, Buffer.of(0), 500),
      ],
    ];
    const decide = (verb: string): Promise<Reading> =>
      readAll([...begun, mariaDbGtid(6, 1), query(`XA ${verb} X'61',X'',1`, 600)]);
    const [committed, rolledBack] = [await decide('COMMIT'), await decide('ROLLBACK')];
    expect(committed.items.map(({ type }) => type)).toEqual(['prepared', 'begin', 'rows', 'end']);
    expect(committed.items[1]).toMatchObject({ transaction: { gtid: '0-7-6', preparedGtid: '0-7-5' } });
    expect(rowsOf(committed.items)).toEqual([
      [1, [1]],
      [2, [2]],
    ]);
    // the rows are in another transaction of the log than the digest is of
    expect(committed.items.at(-1)).toMatchObject({ digest: expect.stringMatching(/^00000000\/0\+/) });
    expect(rolledBack.items.map(({ type }) => type)).toEqual(['prepared', 'begin', 'end']);
  });

  const large = [query('SAVEPOINT a', 440), insertRows('t', Array<number>(100_000).fill(1), 460)];
  const xa = [query("XA START X'61',X'',1", 440), ...large.slice(1), query("XA END X'61',X'',1", 480)];
  const prepared = [...xa, event(EventType.xaPrepare, Buffer.of(0), 500), anonymous(600)];
  test.each([
    ['ROLLBACK', large],
    ['COMMIT', large],
    ['COMMIT', [query('SAVEPOINT a', 440)]],
    ["XA ROLLBACK X'61',X'',1", xa],
    ["XA ROLLBACK X'61',X'',1", prepared],
    ["XA COMMIT X'61',X'',1", prepared],
  ])('I9: what was held is given back at %s', async (sql, events) => {
    const transactions = [anonymous(300), query('BEGIN', 380), tableMap('t', 420), ...events, query(sql, 900)];
    const all = Array.from({ length: 10 }, () => transactions).flat();
    // more than a few of them would be written to a file, and can't
    expect(await readAll(all, { memoryBytes: 1_000_000, folder: '/missing' })).toMatchObject({ code: null });
  });
});
