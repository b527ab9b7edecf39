import { describe, expect, it } from '@jest/globals';
import { type Checkpoint, formatVersion } from '#change-events';
import { findLogPlace } from './log-place.ts';

function versionAt(offset: number): string {
  return formatVersion({ lineage: 2, fileNumber: 7, offset, rowIndex: 3, readSequence: 0 });
}

describe('findLogPlace', () => {
  const checkpoint = {
    lineage: 2,
    position: { gtidSet: '', file: 'db.binlog.000012', offset: 1, serverUuid: 'u' },
  } as Checkpoint;

  it('names the file as the server does', () => {
    expect(findLogPlace(versionAt(2 ** 33), checkpoint)).toEqual({
      ...{ file: 'db.binlog.000007', offset: 2 ** 33, serverUuid: 'u' },
    });
    const late = formatVersion({ lineage: 2, fileNumber: 1_000_001, offset: 4, rowIndex: 0, readSequence: 0 });
    expect(findLogPlace(late, checkpoint)).toMatchObject({ file: 'db.binlog.1000001' });
  });

  it('gives no place of another lineage, nor where none is known', () => {
    expect(findLogPlace(versionAt(1), { ...checkpoint, lineage: 3 })).toContain('lineage 2');
    const unknown = { ...checkpoint, position: { ...checkpoint.position, file: '' } };
    expect(findLogPlace(versionAt(1), unknown)).toContain('no place');
    const first = formatVersion({ lineage: 2, fileNumber: 0, offset: 0, rowIndex: 0, readSequence: 0 });
    expect(findLogPlace(first, checkpoint)).toContain('no place');
  });
});
