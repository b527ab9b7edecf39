import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeColumn, makeLayout, makeTransaction, SERVER_UUID } from '../test/samples.ts';
import { changeAt, type RowChanges } from './change.ts';
import { ChangeHeaderWriter, VERSION_BYTES } from './change-header.ts';
import { changeId } from './change-identity.ts';
import { EnvelopeWriter } from './envelope.ts';
import { ValueImages } from './row-images.ts';
import { changeVersion, formatVersion, READ_ROW_INDEX } from './version.ts';

const layout = makeLayout([makeColumn('id', 'bigint'), makeColumn('name', 'text')]);

interface Event {
  readonly op: 'create' | 'update' | 'delete' | 'read';
  readonly offset: number;
  readonly first: number;
  readonly rows: readonly (readonly [id: number, before: string, after: string])[];
}

const event: fc.Arbitrary<Event> = fc.record({
  op: fc.constantFrom('create', 'update', 'delete', 'read'),
  offset: fc.constantFrom(4, 4711, 2 ** 33),
  first: fc.oneof(fc.nat(3), fc.integer({ min: 0xfff0, max: 0x10010 })),
  rows: fc.array(fc.tuple(fc.nat(9), fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 })), {
    minLength: 2,
    maxLength: 20,
  }),
});

function changesOf({ op, offset, first, rows }: Event): RowChanges {
  const isRead = op === 'read';
  return {
    op,
    layout,
    count: rows.length,
    before:
      op === 'create' || isRead
        ? null
        : new ValueImages(
            layout,
            rows.map(([id, before]) => [id, before]),
          ),
    after:
      op === 'delete'
        ? null
        : new ValueImages(
            layout,
            rows.map(([id, , after]) => [id, after]),
          ),
    transaction: makeTransaction({ offset }),
    firstRowIndex: isRead ? READ_ROW_INDEX : first,
    readSequence: isRead ? 8 : 0,
    windowId: isRead ? 'shop/1/8' : null,
  };
}

describe('an event of several rows', () => {
  test('I1, I3: each row has its own images, index, identity and version, as values and as bytes', () => {
    const header = new ChangeHeaderWriter();
    const envelope = new EnvelopeWriter(layout, { source: 's', version: '1', bigint: 'number' });
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 3 }), (events) => {
        for (const one of events) {
          const changes = changesOf(one);
          const isRead = one.op === 'read';
          for (const [i, [id, before, after]] of one.rows.entries()) {
            const rowIndex = isRead ? READ_ROW_INDEX : one.first + i;
            const images = { before: changes.before && [id, before], after: changes.after && [id, after] };
            const change = changeAt(changes, i);
            expect(change).toMatchObject({ op: one.op, rowIndex, readSequence: isRead ? 8 : 0, ...images });
            const readSequence = isRead ? 8 : 0;
            const version = formatVersion({ lineage: 1, fileNumber: 7, offset: one.offset, rowIndex, readSequence });
            expect(changeVersion(change)).toBe(version);
            if (!isRead) expect(changeId(change)).toBe(`${SERVER_UUID}:42/${rowIndex}`);

            const bound = envelope.bound(changes, i);
            const target = Buffer.alloc(bound + header.idBound(changes) + VERSION_BYTES);
            const end = envelope.write(changes, i, 'whole', 5, target, 0);
            expect(end).toBeLessThanOrEqual(bound);
            const shown = (row: readonly unknown[] | null): unknown => row && { id: row[0], name: row[1] };
            expect(JSON.parse(target.toString('utf8', 0, end))).toMatchObject({
              before: shown(images.before),
              after: shown(images.after),
              source: { row: isRead ? 0 : rowIndex, pos: one.offset },
            });
            expect(target.toString('utf8', 0, header.writeId(changes, i, 'whole', target, 0))).toBe(changeId(change));
            expect(target.toString('utf8', 0, header.writeVersion(changes, i, target, 0))).toBe(version);
          }
          const ids = one.rows.map((_, i) => changeId(changeAt(changes, i)));
          expect(new Set(ids).size).toBe(isRead ? new Set(one.rows.map(([id]) => id)).size : one.rows.length);
        }
      }),
    );
  });

  test('I9: the bound of a row is the bound of its own images, whatever other rows there are', () => {
    const envelope = new EnvelopeWriter(layout, { source: 's', version: '1', bigint: 'number' });
    const rows = [5, 900, 7].map((length, id) => [id, 'x'.repeat(length), 'y'.repeat(3 * length)] as const);
    const changes = changesOf({ op: 'update', offset: 4, first: 0, rows });
    const bounds = rows.map((_, i) => envelope.bound(changes, i)) as [number, number, number];
    expect(bounds[1]).toBeGreaterThan(bounds[0] + 3_000);
    expect(bounds[2]).toBeLessThan(bounds[0] + 100);
  });

  test('the JSON of an image has the form that is asked for', () => {
    const images = new ValueImages(layout, [[7, 'a']]);
    const json = (bigint: 'number' | 'string'): string => {
      const target = Buffer.alloc(images.jsonBound(0, bigint));
      return target.toString('utf8', 0, images.writeJson(0, target, 0, bigint));
    };
    expect([json('number'), json('string'), json('number')]).toEqual([
      '{"id":7,"name":"a"}',
      '{"id":"7","name":"a"}',
      '{"id":7,"name":"a"}',
    ]);
  });
});
