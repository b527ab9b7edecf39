import { describe, expect, it } from '@jest/globals';
import { type Row, type TableLayout } from '#change-events';
import { type StoredRow, VerifiedSink } from './ports/verified-sink.ts';
import { TextSink } from './text-sink.ts';

const signal = new AbortController().signal;
const layout: TableLayout = {
  database: 'shop',
  table: 't',
  key: [0],
  fingerprint: '',
  columns: ['id', 'v'].map((name) => ({
    name,
    kind: 'integer',
    type: 'int',
    unsigned: false,
    precision: 0,
    scale: 0,
    length: 0,
    charset: null,
    labels: [],
  })),
};

interface Stored extends StoredRow {
  readonly text: string;
}

const stored: Stored = {
  version: 'v',
  gtid: 'g',
  isDeleted: true,
  damage: 'd',
  fingerprint: 'f',
  text: '7',
  compare: () => {
    throw new Error('values are not compared');
  },
};

class OneRow extends VerifiedSink {
  override read(_: TableLayout, keys: readonly Row[]): Promise<readonly (Stored | null)[]> {
    return Promise.resolve(keys.map(([key]) => (key === 1 ? stored : null)));
  }
  override list(): AsyncIterable<never> {
    throw new Error('listed');
  }
  override listQuarantined(_: TableLayout, keys: readonly Row[]): Promise<readonly Row[]> {
    return Promise.resolve(keys);
  }
  override demote(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

function sinkOf(isReadable = true): TextSink<Stored> {
  return new TextSink({
    sink: new OneRow(),
    readTexts: (_, { text }) =>
      isReadable
        ? {
            key: ['1'],
            row: new Map([
              ['id', '1'],
              ['v', text],
            ]),
          }
        : null,
  });
}

describe('TextSink', () => {
  it('finds and describes rows as the sink does', async () => {
    const [row, none] = await sinkOf().read(layout, [[1], [2]], signal);
    expect(none).toBeNull();
    expect(row).toMatchObject({ version: 'v', gtid: 'g', isDeleted: true, damage: 'd', fingerprint: 'f' });
  });

  it('compares the texts that follow the columns', async () => {
    const [row] = await sinkOf().read(layout, [[1]], signal);
    expect(row?.compare([1, null, '1', '007'])).toEqual([]);
    expect(row?.compare([1, null, '1', '8'])).toEqual([{ column: 'v', source: '8', sink: '7' }]);
  });

  it('says that what is stored is not readable', async () => {
    const [row] = await sinkOf(false).read(layout, [[1]], signal);
    expect(row?.compare([1, null, '1', '7'])).toBeNull();
  });

  it('refuses rows of a reader that gives no texts', async () => {
    const [row] = await sinkOf().read(layout, [[1]], signal);
    expect(() => row?.compare([1, 7])).toThrow('without texts');
  });

  it('asks the sink for all else; former rows have no texts', async () => {
    const sink = sinkOf();
    expect(() => sink.list({ layout, after: null, limit: 1 }, signal)).toThrow('listed');
    expect(await sink.listQuarantined(layout, [[3]], signal)).toEqual([[3]]);
    expect(await sink.demote(layout, { key: [1] }, 'f', signal)).toBe(true);
  });
});
