import { describe, expect, it } from '@jest/globals';
import { formatVersion, type Row, type TableLayout } from '#change-events';
import { type LoggedChange } from '#mysql';
import { type StoredRow } from '#verification';
import { LogFindings } from './log-findings.ts';

const layout: TableLayout = {
  database: 'd',
  table: 't',
  columns: ['id', 'v'].map((name) => ({
    ...{ name, kind: 'integer', type: 'int', unsigned: false, precision: 0, scale: 0, length: 0 },
    ...{ charset: null, labels: [] },
  })),
  key: [0],
  fingerprint: 'now',
};

function changeAt(offset: number, after: Row | null, given: Partial<LoggedChange> = {}): LoggedChange {
  const transaction = {
    ...{ gtid: `u:${offset}`, preparedGtid: null, serverId: 1, serverUuid: 'u' },
    ...{ file: 'binlog.000007', offset, commitMicros: 5 },
  };
  return { op: 'update', key: '[1]', transaction, rowIndex: 3, layout, before: [1, 0], after, ...given };
}

function versionAt(offset: number, rowIndex = 3, readSequence = 0): string {
  return formatVersion({ lineage: 2, fileNumber: 7, offset, rowIndex, readSequence });
}

/** A stored row with this value. */
function stored(version: string, value: number): StoredRow {
  const compare = ([, found]: Row) =>
    found === value ? [] : [{ column: 'v', source: String(found), sink: String(value) }];
  return { version, gtid: null, isDeleted: false, damage: null, fingerprint: '', compare };
}

describe('LogFindings', () => {
  it('compares what is stored with the change of its version, and counts those after it', () => {
    const findings = new LogFindings(2, layout, stored(versionAt(100), 5));
    for (const change of [changeAt(50, [1, 4]), changeAt(100, [1, 5]), changeAt(200, [1, 6]), changeAt(300, null)])
      findings.add(change);
    expect(findings).toMatchObject({ againstNamed: 'equal', next: versionAt(200), newer: 2 });
    expect(findings.named).toEqual({
      ...{ op: 'update', version: versionAt(100), gtid: 'u:100', serverUuid: 'u', file: 'binlog.000007', offset: 100 },
      ...{ row: 3, commitMicros: 5, value: { id: 1, v: 5 }, omittedBytes: 0 },
    });
    expect(findings.shown.map(({ value }) => value)).toEqual([{ id: 1, v: 6 }, null]);
  });

  it('sees what is stored differ from the change of its version', () => {
    const findings = new LogFindings(2, layout, stored(versionAt(100), 77));
    findings.add(changeAt(100, [1, 5]));
    expect(findings.againstNamed).toMatchObject({ kind: 'different', differences: [{ column: 'v', sink: '77' }] });
  });

  it('says nothing of a change that was logged under another layout', () => {
    const findings = new LogFindings(2, layout, stored(versionAt(100), 77));
    findings.add(changeAt(100, [1, 5], { layout: { ...layout, fingerprint: 'before' } }));
    expect([findings.named?.version, findings.againstNamed]).toEqual([versionAt(100), null]);
  });

  it('takes a change of the transaction that a read followed as older than the read', () => {
    const findings = new LogFindings(2, layout, stored(versionAt(100, 0xffffffff, 9), 5));
    findings.add(changeAt(100, [1, 5]));
    findings.add(changeAt(101, [1, 6]));
    expect(findings).toMatchObject({ named: null, next: versionAt(101), newer: 1 });
  });

  it('takes every change as newer than nothing', () => {
    const findings = new LogFindings(2, layout, null);
    findings.add(changeAt(100, [1, 5]));
    expect(findings).toMatchObject({ named: null, next: versionAt(100), newer: 1 });
  });

  it('shows the first changes, and counts the rest', () => {
    const findings = new LogFindings(2, layout, null);
    for (let i = 0; i < 30; i++) findings.add(changeAt(100 + i, [1, i]));
    expect([findings.newer, findings.shown.length, findings.shown[0]?.offset]).toEqual([30, 10, 100]);
  });
});
