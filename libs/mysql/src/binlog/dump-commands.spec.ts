import { GtidSet as ZongjiGtidSet } from '@vlasky/zongji';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { GtidSet } from '#change-events';
import { encodeDump, encodeRegistration, frameCommand, sessionVariablesOf } from './dump-commands.ts';
import { encodeGtidSet } from './gtid-set-encoding.ts';
import { makeReplicaIdentity } from './replica-identity.ts';

const uuid = fc.uuid();
const tag = fc.constantFrom('', 'a', 'tag_of_thirty_two_characters_000', '_x9');
const gtid = fc
  .tuple(uuid, tag, fc.integer({ min: 1, max: 2 ** 53 - 2 }), fc.nat({ max: 5 }))
  .map(
    ([id, name, from, length]) =>
      `${id}${name === '' ? '' : `:${name}`}:${from}-${Math.min(from + length, 2 ** 53 - 1)}`,
  );
const ids = fc.array(gtid, { maxLength: 12 });

interface Encoder {
  encode(): Buffer;
}

describe('encodeGtidSet', () => {
  test('is what another client sends, with tags and without', () => {
    fc.assert(
      fc.property(ids, (texts) => {
        const text = texts.join(',');
        const other = ZongjiGtidSet.parse(text) as unknown as Encoder;
        expect(encodeGtidSet(GtidSet.parse(text)).toString('hex')).toBe(other.encode().toString('hex'));
      }),
      { numRuns: 500 },
    );
  });

  test('keeps the classic format when there is no tag', () => {
    const set = GtidSet.parse('3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:8');
    expect(encodeGtidSet(set).toString('hex')).toBe(
      '0100000000000000' +
        '3e11fa4771ca11e19e33c80aa9429562' +
        '0200000000000000' +
        '01000000000000000600000000000000' +
        '08000000000000000900000000000000',
    );
  });

  test('has tags after the UUIDs when there is one', () => {
    const set = GtidSet.parse('3e11fa47-71ca-11e1-9e33-c80aa9429562:1:ab:7');
    expect(encodeGtidSet(set).toString('hex')).toBe(
      '0102000000000001' +
        '3e11fa4771ca11e19e33c80aa9429562' +
        '00' +
        '0100000000000000' +
        '01000000000000000200000000000000' +
        '3e11fa4771ca11e19e33c80aa9429562' +
        '046162' +
        '0100000000000000' +
        '07000000000000000800000000000000',
    );
  });
});

describe('commands', () => {
  test('a file and offset fit the old dump up to 32 bits, and the new one beyond', () => {
    expect(encodeDump({ file: 'b.1', offset: 0xffffffff }, 7).toString('hex')).toBe('12ffffffff020007000000622e31');
    expect(encodeDump({ file: 'b.1', offset: 2 ** 32 + 5 }, 7).toString('hex')).toBe(
      '1e0200' + '07000000' + '03000000622e31' + '0500000001000000' + '08000000' + '0000000000000000',
    );
  });

  test('a GTID set is sent without a file, from the first offset that there is', () => {
    expect(encodeDump({ gtidSet: '' }, 7).toString('hex')).toBe(
      '1e0200' + '07000000' + '00000000' + '0400000000000000' + '08000000' + '0000000000000000',
    );
  });

  test('a GTID set with a file is left out of what follows the head of that file', () => {
    expect(encodeDump({ gtidSet: '', file: 'b.1' }, 7).toString('hex')).toBe(
      '1e0200' + '07000000' + '03000000622e31' + '0400000000000000' + '08000000' + '0000000000000000',
    );
  });

  test('MariaDB takes the oldest dump, without flags; where it begins is said before', () => {
    expect(encodeDump({ mariaDbGtids: '0-1-5' }, 7).toString('hex')).toBe('12' + '04000000' + '0000' + '07000000');
    const variables = sessionVariablesOf({ mariaDbGtids: '1-2-3, 0-1-5' });
    expect(variables).toContain("@slave_connect_state = '0-1-5,1-2-3'");
    expect(variables).toContain('@mariadb_slave_capability = 4');
  });

  test('MariaDB gives its GTIDs to a reader by file that says it knows them', () => {
    const start = { file: 'b.1', offset: 5, isMariaDb: true };
    expect(encodeDump(start, 7).toString('hex')).toBe('12' + '05000000' + '0000' + '07000000' + '622e31');
    expect(sessionVariablesOf(start)).toEqual(['@mariadb_slave_capability = 4']);
    expect(sessionVariablesOf({ file: 'b.1', offset: 5 })).toEqual([]);
  });

  test('a host name longer than a server takes is cut', () => {
    expect(encodeRegistration(7, 'h').toString('hex')).toBe(
      '1507000000' + '0168' + '0000' + '0000' + '0000000000000000',
    );
    expect(encodeRegistration(7, 'h'.repeat(300))).toHaveLength(5 + 61 + 12);
  });

  test('packets are numbered, and an exactly full one is followed by an empty one', () => {
    expect(frameCommand(Buffer.of(1, 2)).toString('hex')).toBe('020000000102');
    const full = frameCommand(Buffer.alloc(0xffffff));
    expect(full.toString('hex', 0, 4)).toBe('ffffff00');
    expect(full.toString('hex', 4 + 0xffffff)).toBe('00000001');
  });
});

describe('makeReplicaIdentity', () => {
  test('is the same for the same server id, and another for another', () => {
    const first = makeReplicaIdentity(7);
    expect(first).toEqual(makeReplicaIdentity(7));
    expect(first.uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(makeReplicaIdentity(8).uuid).not.toBe(first.uuid);
  });

  test('is random without a server id', () => {
    const [first, second] = [makeReplicaIdentity(undefined), makeReplicaIdentity(undefined)];
    expect(first.uuid).not.toBe(second.uuid);
    expect(first.serverId).toBeGreaterThanOrEqual(2 ** 31);
  });
});
