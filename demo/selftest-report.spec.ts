import { describe, expect, it } from '@jest/globals';
import { parseSelftestOptions } from './selftest-options.ts';
import { type FoundMismatch, isRepaired, matchDamage, renderSelftest } from './selftest-report.ts';

function mismatch(changed: Partial<FoundMismatch>): FoundMismatch {
  return {
    ...{ id: 'm', sink: 'mongo', key: '[1]', isKey: true, kind: 'missing', state: 'repaired', reason: null },
    ...{ details: { shown: null } },
    ...changed,
  };
}

describe('a damage', () => {
  it('is the mismatch of its row in its sink', () => {
    const mismatches = [
      mismatch({ key: '[11]' }),
      mismatch({ sink: 'kafka', kind: 'extra', state: 'given up', reason: 'why' }),
      mismatch({ key: 'x', isKey: false, kind: 'damaged', details: { shown: '{"$oid":"abc"}' } }),
    ];
    expect(matchDamage({ sink: 'mongo', kind: 'lost row', key: '1' }, mismatches)).toMatchObject({ foundAs: null });
    expect(matchDamage({ sink: 'kafka', kind: 'extra row', key: '1' }, mismatches)).toMatchObject({
      ...{ foundAs: 'extra', state: 'given up', reason: 'why' },
    });
    expect(matchDamage({ sink: 'mongo', kind: 'no key', key: 'abc' }, mismatches)).toMatchObject({
      foundAs: 'damaged',
    });
    expect(['repaired', 'gone', 'given up', null].map((state) => isRepaired({ state } as never))).toEqual([
      ...[true, true],
      ...[false, false],
    ]);
  });

  it('has a line of the table', () => {
    const damage = {
      sink: 'mongo',
      kind: 'lost row',
      key: '7',
      foundAs: 'missing',
      state: 'repaired',
      reason: null,
    } as const;
    const missed = { ...damage, kind: 'one bit', foundAs: null, state: null };
    const text = renderSelftest({
      isGood: false,
      damages: [damage, missed],
      notTried: ['x in kafka'],
      differencesAtTheEnd: 1,
    });
    expect(text.join('\n')).toMatch(/mongo +lost row +7 +missing +repaired\nmongo +one bit +7 +NOT FOUND\n/);
    expect(text.slice(-3)).toEqual([
      '1 of 2 damages were found, 1 repaired; 1 rows still differ.',
      'Not tried, no row was fit: x in kafka.',
      'The self-test has FAILED.',
    ]);
    const good = renderSelftest({ isGood: true, damages: [damage], notTried: [], differencesAtTheEnd: 0 });
    expect(good.at(-1)).toBe('The self-test has passed.');
  });
});

describe('the options of the self-test', () => {
  it('have a schema, and the configuration that the other commands take', () => {
    const given = parseSelftestOptions(['--scratch-schema', 's', '--source', 'eu'], {
      DITTO_CONFIG: 'f',
      DITTO_TOKEN: 't',
    });
    expect(given).toEqual({ schema: 's', source: 'eu', config: 'f', token: 't', json: false });
    expect(parseSelftestOptions(['--help'], {})).toBe('help');
  });

  it.each([
    [[], /--scratch-schema NAME/],
    [['--scratch-schema', ''], /--scratch-schema NAME/],
    [['--scratch-schema', 'a`.b; DROP'], /name of one schema/],
    [['--scratch-schema', 'x'.repeat(65)], /name of one schema/],
    [['--scratch-schema', 's', 'more'], /takes no 'more'/],
    [['--schema', 's'], /--schema/],
  ])('refuse %j', (args, why) => {
    expect(() => parseSelftestOptions(args, {})).toThrow(why);
  });
});
