import { describe, expect, it } from '@jest/globals';
import { type TopicMessage } from '../oracle/topic-messages.ts';
import { type Damage, DamageLedger, keyOfMessage } from './damage-ledger.ts';

const ENDED_MS = 1000;
const versionAt = (place: number): string => place.toString(16).padStart(44, '0');

function message(op: string | null, place: number, offset: number, atMs = 500): TopicMessage {
  return {
    ...{ partition: 0, offset: BigInt(offset), key: Buffer.from('{"id":1}') },
    value: op === null ? null : Buffer.from(JSON.stringify({ op, ts_ms: atMs })),
    headers: [[Buffer.from('ditto.version'), Buffer.from(versionAt(place))]],
  };
}

const inMirror: Damage = {
  ...{ sink: 'mongo', table: 't', kind: 'one bit', key: '[1]', isKey: true, version: versionAt(5), place: null },
};
const inTopic: Damage = { ...inMirror, sink: 'kafka', kind: 'one letter', place: { partition: 0, offset: 1n } };
const found = { ...inMirror, kind: 'different', details: { shown: null } };

/** What becomes of a damage that a run had to find and has not. */
function closeUnfound(damage: Damage, history: readonly TopicMessage[], reread?: string): string {
  const ledger = new DamageLedger();
  ledger.add(damage, 0);
  ledger.endRun(0, ENDED_MS, reread === undefined ? [] : [reread]);
  const { overwritten, missed } = ledger.close(new Map([['t', new Map([['[1]', history]])]]));
  expect(Object.keys(overwritten).length + missed.length).toBe(1);
  return missed.length === 1 ? 'missed' : 'overwritten';
}

describe('what a run has not found', () => {
  it('was overwritten only by a later change of the row that came before the run had ended', () => {
    expect(closeUnfound(inMirror, [message('u', 6, 0)])).toBe('overwritten');
    expect(closeUnfound(inMirror, [message('u', 5, 0)])).toBe('missed');
    expect(closeUnfound(inMirror, [message('u', 6, 0, ENDED_MS + 1)])).toBe('missed');
    expect(closeUnfound(inMirror, [message('r', 6, 0)])).toBe('missed');
    expect(closeUnfound(inMirror, [])).toBe('missed');
  });

  it('was not overwritten when its version refuses all changes, or no row has its key', () => {
    for (const kind of ['no version', 'malformed version', 'forged future version', 'extra row'])
      expect([kind, closeUnfound({ ...inMirror, kind }, [message('u', 6, 0)])]).toEqual([kind, 'missed']);
  });

  it('was overwritten in a topic by a message behind it, whatever its version', () => {
    expect(closeUnfound(inTopic, [message('c', 5, 0), message('u', 5, 1), message('u', 6, 2)])).toBe('overwritten');
    expect(closeUnfound(inTopic, [message('c', 5, 0), message('u', 5, 1)])).toBe('missed');
    expect(closeUnfound(inTopic, [message('c', 5, 0), message('u', 5, 1), message('r', 6, 2)])).toBe('missed');
  });

  it('a tombstone after a delete says what is true', () => {
    const lost: Damage = { ...inTopic, kind: 'lost row' };
    expect(closeUnfound(lost, [message('d', 5, 0), message(null, 5, 1)])).toBe('overwritten');
    expect(closeUnfound(lost, [message('c', 5, 0), message(null, 5, 1)])).toBe('missed');
  });

  it('was overwritten when it was gone a moment after it was done', () => {
    const ledger = new DamageLedger();
    for (const key of ['[1]', '[2]']) ledger.add({ ...inMirror, kind: 'forged future version', key }, 0);
    ledger.excuse({ ...inMirror, key: '[2]' });
    ledger.endRun(0, ENDED_MS);
    expect(ledger.close(new Map())).toMatchObject({
      overwritten: { 'mongo forged future version': 1 },
      missed: [{ key: '[1]' }],
    });
  });

  it('may have been overwritten by a read when its table was read again as a whole', () => {
    expect(closeUnfound(inMirror, [message('r', 6, 0)], 't')).toBe('overwritten');
    expect(closeUnfound(inMirror, [message('r', 6, 0)], 'other')).toBe('missed');
    expect(closeUnfound({ ...inMirror, kind: 'extra row' }, [message('d', 6, 0)], 't')).toBe('overwritten');
    expect(closeUnfound({ ...inMirror, kind: 'no version' }, [message('r', 6, 0)], 't')).toBe('missed');
  });
});

describe('what is found', () => {
  it('counts as found also when it was gone a moment after it was done', () => {
    const ledger = new DamageLedger();
    ledger.add(inMirror, 0);
    ledger.excuse(inMirror);
    expect(ledger.note([found])).toEqual([]);
    expect(ledger.close(new Map()).found).toEqual({ 'mongo one bit': 1 });
  });

  it('is a false alarm without a damage, in another sink, or a second time', () => {
    const ledger = new DamageLedger();
    ledger.add(inMirror, 0);
    const elsewhere = { ...found, sink: 'kafka' };
    const unknown = { ...found, key: '[2]' };
    expect(ledger.note([found, elsewhere, unknown, found])).toEqual([elsewhere, unknown, found]);
    expect(ledger.close(new Map())).toEqual({ found: { 'mongo one bit': 1 }, overwritten: {}, missed: [] });
  });

  it('only by a later run than the first that had to is missed', () => {
    const ledger = new DamageLedger();
    ledger.add(inMirror, 1);
    ledger.endRun(0, ENDED_MS);
    expect(ledger.counting).toBe(1);
    ledger.endRun(1, ENDED_MS);
    expect(ledger.counting).toBe(0);
    ledger.note([found]);
    expect(ledger.close(new Map()).missed).toHaveLength(1);
  });

  it('under no key is known by what is shown of it', () => {
    const ledger = new DamageLedger();
    const foreign: Damage = { ...inMirror, kind: 'key that is no key', key: 'ab12', isKey: false };
    ledger.add(foreign, 0);
    expect(ledger.note([{ ...found, isKey: false, key: 'x', details: { shown: '{"_id":"ab12"}' } }])).toEqual([]);
  });
});

it('keys of messages and documents are written in one way', () => {
  expect(keyOfMessage('{"order_id":7,"line":2}')).toBe('[7,2]');
  expect(keyOfMessage('{"code":"a \\"b"}')).toBe('["a \\"b"]');
});
