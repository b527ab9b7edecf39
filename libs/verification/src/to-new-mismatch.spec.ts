import { describe, expect, it } from '@jest/globals';
import { layout } from '../test/verification-model.ts';
import { toNewMismatch } from './to-new-mismatch.ts';

const where = { source: 'eu', sink: 'mongo', layout, way: 'first', runId: 'run', seenAtMs: 5 } as const;
const differences = [{ column: 'name', source: 'a', sink: 'b' }];
const VERSION = '00000001000000010000000000100000000000000000';

describe('toNewMismatch', () => {
  it('keeps where the row is, what is wrong with it, and which document was seen', () => {
    const stored = {
      ...{ version: VERSION, gtid: null, isDeleted: false, damage: null },
      ...{ fingerprint: 'f', compare: () => differences },
    };
    const found = { key: [1, null], row: [1, 'a'], kind: 'different', differences, damage: null, stored } as const;
    expect(toNewMismatch(found, where)).toEqual({
      ...{ source: 'eu', database: 'd', table: 't', sink: 'mongo' },
      ...{ key: '[1]', isKey: true, kind: 'different' },
      details: { way: 'first', differences, damage: null, storedVersion: VERSION, fingerprint: 'f', shown: null },
      ...{ runId: 'run', seenAtMs: 5 },
    });
  });

  it('of a row that is not stored there is neither version nor fingerprint', () => {
    const found = {
      key: [1, null],
      row: [1, 'a'],
      kind: 'missing',
      differences: [],
      damage: null,
      stored: null,
    } as const;
    expect(toNewMismatch(found, where).details).toMatchObject({ storedVersion: null, fingerprint: null });
  });
});
