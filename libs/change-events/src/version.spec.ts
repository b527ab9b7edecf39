import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeChange, makeColumn, makeLayout, makeTransaction } from '../test/samples.ts';
import {
  binlogFileNumber,
  changeVersion,
  compareBinlogFiles,
  formatVersion,
  parseVersion,
  READ_ROW_INDEX,
  startVersion,
  transactionEndVersion,
  versionPrefix,
} from './version.ts';

const uint32 = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.constantFrom(0, 1, 255, 0xffff, 0x10000, 0xffffffff),
);
const uint48 = fc.oneof(
  fc.maxSafeNat().map((n) => n % 2 ** 48),
  fc.constantFrom(0, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1),
);
const parts = fc.record({
  lineage: uint32,
  fileNumber: uint32,
  offset: uint48,
  rowIndex: uint32,
  readSequence: uint32,
});
const layout = makeLayout([makeColumn('id', 'integer')]);

function compareTuples(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at === -1 ? 0 : Math.sign((a[at] as number) - (b[at] as number));
}

describe('startVersion', () => {
  test('I3: is above all that was logged before the place, and below all that begins there or later', () => {
    const place = fc.record({ lineage: uint32, file: fc.integer({ min: 1, max: 99 }), offset: uint48 });
    // random places differ in the first part nearly always
    const near = fc.record({ equalUpTo: fc.nat(3), step: fc.constantFrom(-1, 0, 1) });
    fc.assert(
      fc.property(place, parts, near, ({ lineage, file, offset }, random, { equalUpTo, step }) => {
        fc.pre(offset > 0 && offset + step < 2 ** 48);
        const same = [{ lineage }, { fileNumber: file }, { offset: offset + step }].slice(0, equalUpTo);
        const other = Object.assign({ ...random }, ...same) as typeof random;
        const start = startVersion(lineage, `binlog.${file}`, offset);
        const isBefore = compareTuples([other.lineage, other.fileNumber, other.offset], [lineage, file, offset]) < 0;
        expect(formatVersion(other) <= start).toBe(isBefore);
      }),
    );
  });

  test('of a place that no log names is above every read that comes before the first transaction', () => {
    const start = startVersion(7, '', 0);
    expect(start).toBe(transactionEndVersion(versionPrefix(7, '', 0)));
    expect(start < versionPrefix(7, 'binlog.000001', 4)).toBe(true);
  });
});

describe('version', () => {
  test('I3: the order of the texts is the order of the coordinates', () => {
    fc.assert(
      fc.property(parts, parts, fc.nat(4), (a, b, equalUpTo) => {
        // Random tuples differ in the first part nearly always: make the later parts decide as well.
        const keys = ['lineage', 'fileNumber', 'offset', 'rowIndex', 'readSequence'] as const;
        const other = { ...b };
        for (const key of keys.slice(0, equalUpTo)) other[key] = a[key];
        const [left, right] = [formatVersion(a), formatVersion(other)];
        const order = left < right ? -1 : left > right ? 1 : 0;
        expect(order).toBe(
          compareTuples(
            keys.map((key) => a[key]),
            keys.map((key) => other[key]),
          ),
        );
      }),
    );
  });

  test('format and parse are inverse; a version has 44 digits', () => {
    fc.assert(
      fc.property(parts, (given) => {
        expect(formatVersion(given)).toMatch(/^[0-9a-f]{44}$/);
        expect(parseVersion(formatVersion(given))).toEqual(given);
      }),
    );
  });

  test('a change is placed by lineage, file number, offset, row and read', () => {
    fc.assert(
      fc.property(parts, (given) => {
        const file = `mysql-bin.${String(given.fileNumber).padStart(6, '0')}`;
        const transaction = makeTransaction({ versionPrefix: versionPrefix(given.lineage, file, given.offset) });
        const { rowIndex, readSequence } = given;
        const read = makeChange(layout, null, [1], { op: 'read', transaction, rowIndex, readSequence });
        expect(changeVersion(read)).toBe(formatVersion(given));
        const fromLog = makeChange(layout, null, [1], { transaction, rowIndex });
        expect(changeVersion(fromLog)).toBe(formatVersion({ ...given, readSequence: 0 }));
        expect(changeVersion({ op: 'truncate', layout, transaction, rowIndex })).toBe(changeVersion(fromLog));
      }),
    );
  });

  test('a read comes after all changes of its transaction and before its end; the next transaction after that', () => {
    const prefix = versionPrefix(1, 'binlog.000009', 2 ** 33);
    const transaction = makeTransaction({ versionPrefix: prefix });
    const last = changeVersion(makeChange(layout, null, [1], { transaction, rowIndex: 0xfffffffe }));
    const read = makeChange(layout, null, [1], { op: 'read', transaction, rowIndex: READ_ROW_INDEX, readSequence: 1 });
    const next = versionPrefix(1, 'binlog.000009', 2 ** 33 + 1);
    const order = [prefix, last, changeVersion(read), transactionEndVersion(prefix), next];
    expect([...order].sort()).toEqual(order);
  });

  test('log files are compared by number, also beyond six digits', () => {
    expect(binlogFileNumber('binlog.000007')).toBe(7);
    expect(binlogFileNumber('db-1.example.binlog.1000000')).toBe(1_000_000);
    expect(binlogFileNumber('')).toBe(0);
    expect(compareBinlogFiles('binlog.999999', 'binlog.1000000')).toBeLessThan(0);
    expect(versionPrefix(1, 'binlog.999999', 4) < versionPrefix(1, 'binlog.1000000', 4)).toBe(true);
    expect(versionPrefix(1, 'binlog.000001', 2 ** 32 + 5)).toBe('00000001' + '00000001' + '000100000005');
  });

  test('what does not fit is refused with a code, never cut off', () => {
    const range = expect.objectContaining({ code: 'DITTO_VERSION_RANGE' });
    expect(() => versionPrefix(2 ** 32, 'binlog.000001', 4)).toThrow(range);
    expect(() => versionPrefix(1, 'binlog.4294967296', 4)).toThrow(range);
    expect(() => versionPrefix(1, 'binlog.000001', 2 ** 48)).toThrow(range);
    expect(() => versionPrefix(-1, 'binlog.000001', 4)).toThrow(range);
    expect(() => versionPrefix(1, 'binlog.000001', 4.5)).toThrow(range);
    expect(() => versionPrefix(1, 'binlog.000001', Number.NaN)).toThrow(range);
    for (const file of ['binlog', 'binlog.', 'binlog.000007.bak', 'binlog.000007~'])
      expect(() => binlogFileNumber(file)).toThrow(
        expect.objectContaining({ code: 'DITTO_POSITION_FILE_INVALID', context: { file } }),
      );
    for (const text of ['', '0'.repeat(43), '0'.repeat(45), 'G'.repeat(44), 'A'.repeat(44)]) {
      expect(() => parseVersion(text)).toThrow(expect.objectContaining({ code: 'DITTO_VERSION_INVALID' }));
    }
  });
});
