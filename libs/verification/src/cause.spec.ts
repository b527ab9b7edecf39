import { describe, expect, it } from '@jest/globals';
import { type Cause, findCause, type KeyFacts } from './cause.ts';
import { type Fault } from './judgement.ts';

const STORED = '00000001000000010000000000100000000000000000';
const NEXT = '00000001000000010000000000200000000000000000';
const CHECKPOINT = '000000010000000100000000003000000000ffffffff';
const LATER = '00000001000000010000000000400000000000000000';
const different: Fault = { kind: 'different', differences: [], damage: null };
const missing: Fault = { kind: 'missing', differences: [], damage: null };
const damaged: Fault = { kind: 'damaged', differences: [], damage: 'it has a field "x"' };

/** A row that differs, and nothing that says why. */
const unexplained: KeyFacts = {
  filteredBy: null,
  copied: 'yes',
  refused: null,
  reread: null,
  comparison: different,
  storedVersion: STORED,
  againstNamed: null,
  checkpoint: CHECKPOINT,
  nextLogged: null,
};

describe('findCause', () => {
  it.each<[Cause, string, Partial<KeyFacts>]>([
    ['unknown', 'nothing is known but the difference', {}],
    ['none', 'row and document are equal', { comparison: 'equal' }],
    ['none', 'they are equal while newer changes are on their way', { comparison: 'equal', nextLogged: LATER }],
    ['filtered', 'the configuration leaves it out', { filteredBy: 'the option exclude' }],
    ['filtered', 'and nothing could be read', { filteredBy: 'the option exclude', comparison: null }],
    ['unknown', 'the row or the document could not be read', { comparison: null, nextLogged: NEXT }],
    ['unknown', 'they could not, during a re-read', { comparison: null, copied: 'no' }],
    ['changed outside Ditto', 'the document is not one of Ditto', { comparison: damaged, storedVersion: null }],
    ['changed outside Ditto', 'the change of its version has left something else', { againstNamed: different }],
    ['changed outside Ditto', 'the change of its version has left a row', { againstNamed: missing }],
    [
      'changed outside Ditto',
      'newer changes are lost or on their way, too',
      { againstNamed: different, nextLogged: NEXT, copied: 'no', reread: 'read 1' },
    ],
    ['lost', 'the log has a newer change that the checkpoint covers', { nextLogged: NEXT, againstNamed: 'equal' }],
    ['lost', 'the change of its version is not to be had', { nextLogged: NEXT }],
    ['lost', 'the checkpoint ends with that change', { nextLogged: CHECKPOINT }],
    ['lost', 'nothing is stored', { nextLogged: NEXT, storedVersion: null, comparison: missing }],
    ['lost', 'a read repairs it already', { nextLogged: NEXT, reread: 'read 1' }],
    ['in the quarantine', 'the sink has refused the row', { refused: 'the failed event 1', nextLogged: NEXT }],
    ['none', 'the sink has it all the same', { refused: 'the failed event 1', comparison: 'equal' }],
    ['unknown', 'nothing is stored, and the log has no change', { storedVersion: null, comparison: missing }],
    ['unknown', 'the checkpoint is not known', { nextLogged: NEXT, checkpoint: null }],
    ['unknown', 'whether the table is copied is not known', { nextLogged: NEXT, copied: null }],
    ['being re-read', 'the table is copied at the moment', { copied: 'no' }],
    ['being re-read', 'the copy has not come to the changed row', { copied: 'no', nextLogged: NEXT }],
    ['being re-read', 'a read was asked for', { reread: 'read 1' }],
    ['being re-read', 'before anything is said of newer changes', { copied: 'no', nextLogged: LATER }],
    ['moving', 'the log has a change after the checkpoint', { nextLogged: LATER, againstNamed: 'equal' }],
    ['moving', 'the document is newer than the checkpoint', { storedVersion: LATER }],
    ['moving', 'there is no checkpoint yet', { checkpoint: '' }],
    ['unknown', 'the document is as new as the checkpoint', { storedVersion: CHECKPOINT }],
    ['unknown', 'the rows of the table are not copied', { copied: 'never', nextLogged: NEXT }],
    ['unknown', 'DSS has not seen the table', { copied: 'unseen' }],
  ])('%s: %s', (cause, _, given) => {
    const found = findCause({ ...unexplained, ...given });
    expect(found.cause).toBe(cause);
    expect(found.because).toMatch(/^[A-Z].*\.$/);
  });

  it('names what was found', () => {
    expect(findCause({ ...unexplained, nextLogged: NEXT }).because).toContain(NEXT);
    expect(findCause({ ...unexplained, againstNamed: different }).because).toContain(STORED);
    expect(findCause({ ...unexplained, comparison: damaged }).because).toContain('it has a field "x"');
    expect(findCause({ ...unexplained, filteredBy: 'the option exclude' }).because).toContain('the option exclude');
  });
});
