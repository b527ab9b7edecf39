import { describe, expect, it } from '@jest/globals';
import { type Checkpoint, formatVersion, type Row, type TableLayout } from '#change-events';
import { DittoError, silentLogger } from '#kernel';
import { type KeyLogRequest, type LoggedChange } from '#mysql';
import { LoggedChanges } from './logged-changes.ts';

const column = (name: string) => ({
  ...({ name, kind: 'integer', type: 'int', unsigned: false, precision: 0, scale: 0 } as const),
  ...{ length: 0, charset: null, labels: [] },
});
const layout: TableLayout = {
  ...{ database: 'd', table: 't', columns: [column('id'), column('v')], key: [0], fingerprint: 'now' },
};
const checkpoint = {
  lineage: 2,
  position: { file: 'binlog.000007', offset: 900, serverUuid: 'u', gtidSet: '' },
} as unknown as Checkpoint;
const signal = new AbortController().signal;

const keyOf = (id: number): Row => [id, null];

function versionAt(offset: number, { fileNumber = 7, lineage = 2, rowIndex = 0, readSequence = 0 } = {}): string {
  return formatVersion({ lineage, fileNumber, offset, rowIndex, readSequence });
}

function changeAt(offset: number, id: number, after: Row | null, given: Partial<LoggedChange> = {}): LoggedChange {
  const transaction = {
    ...{ gtid: `u:${offset}`, preparedGtid: null, serverId: 1, serverUuid: 'u' },
    ...{ file: 'binlog.000007', offset, commitMicros: 5 },
  };
  return { op: 'update', key: `[${id}]`, transaction, rowIndex: 0, layout, before: null, after, ...given };
}

/** A log that has these changes. */
function changesOf(log: readonly LoggedChange[], asked: KeyLogRequest[] = []): LoggedChanges {
  return new LoggedChanges({
    source: 'eu',
    readCheckpoint: () => Promise.resolve(checkpoint),
    log: {
      read: (request) => {
        asked.push(request);
        for (const change of log) request.onChange(change);
        return Promise.resolve({ bytes: 0, transactions: 0, file: '', offset: 0, cutBecause: null });
      },
    },
    logger: silentLogger,
  });
}

describe('LoggedChanges', () => {
  it('finds what each change has left of its row, with one reading from the first of them to the last', async () => {
    const asked: KeyLogRequest[] = [];
    const log = [changeAt(100, 1, [1, 5]), changeAt(200, 2, null), changeAt(200, 1, [1, 6]), changeAt(300, 1, [1, 7])];
    const wanted = [
      { key: keyOf(1), version: versionAt(200) },
      { key: keyOf(2), version: versionAt(200) },
      { key: keyOf(1), version: versionAt(100) },
      { key: keyOf(2), version: versionAt(150) },
    ];
    expect(await changesOf(log, asked).read(layout, wanted, signal)).toEqual([[1, 6], null, [1, 5], undefined]);
    expect(asked).toMatchObject([
      {
        from: { file: 'binlog.000007', offset: 100, serverUuid: 'u' },
        until: { file: 'binlog.000007', offset: 200 },
        keys: [keyOf(1), keyOf(2), keyOf(1), keyOf(2)].map(() => expect.anything()),
      },
    ]);
  });

  it('takes files in the order of their numbers', async () => {
    const asked: KeyLogRequest[] = [];
    const wanted = [
      { key: keyOf(1), version: versionAt(4, { fileNumber: 1_000_000 }) },
      { key: keyOf(1), version: versionAt(500, { fileNumber: 999_999 }) },
    ];
    await changesOf([], asked).read(layout, wanted, signal);
    expect(asked).toMatchObject([{ from: { file: 'binlog.999999' }, until: { file: 'binlog.1000000' } }]);
  });

  it.each([
    ['of another lineage', { lineage: 1 }],
    ['that a read has made', { rowIndex: 0xffffffff, readSequence: 4 }],
    ['from before the first file', { fileNumber: 0 }],
  ])('does not look for a change %s', async (_, place) => {
    const asked: KeyLogRequest[] = [];
    const wanted = [{ key: keyOf(1), version: versionAt(100, place) }];
    expect(await changesOf([changeAt(100, 1, [1, 5])], asked).read(layout, wanted, signal)).toEqual([undefined]);
    expect(asked).toEqual([]);
  });

  it('takes no row of another layout, and none of another row of the transaction', async () => {
    const other = { ...layout, fingerprint: 'before' };
    const log = [changeAt(100, 1, [1, 5], { layout: other }), changeAt(200, 1, [1, 6], { rowIndex: 1 })];
    const wanted = [100, 200].map((offset) => ({ key: keyOf(1), version: versionAt(offset) }));
    expect(await changesOf(log).read(layout, wanted, signal)).toEqual([undefined, undefined]);
  });

  it('has nothing while the log can not be read, and ends with its signal', async () => {
    const failing = (error: Error): LoggedChanges =>
      new LoggedChanges({
        ...{ source: 'eu', readCheckpoint: () => Promise.resolve(checkpoint), logger: silentLogger },
        log: { read: () => Promise.reject(error) },
      });
    const wanted = [{ key: keyOf(1), version: versionAt(100) }];
    const purged = new DittoError('DITTO_SOURCE_PURGED', 'gone');
    expect(await failing(purged).read(layout, wanted, signal)).toEqual([undefined]);
    await expect(failing(purged).read(layout, wanted, AbortSignal.abort(new Error('ended')))).rejects.toThrow('ended');
  });
});
