import { describe, expect, it } from '@jest/globals';
import { GtidSet } from '#change-events';
import { ownedGtids } from './owned-gtids.ts';

const ONE = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const OTHER = '00000000-71ca-11e1-9e33-c80aa9429562';

function parsed(text: string): string {
  return GtidSet.parse(ownedGtids(text)).toString();
}

describe('gtid_owned', () => {
  it('is empty when no transaction is under way', () => {
    expect(parsed('')).toBe('');
  });

  it('is a set without the numbers of the threads', () => {
    expect(parsed(`${ONE}:23#12`)).toBe(`${ONE}:23`);
    expect(parsed(`${ONE}:24#16:23#12:7#999999`)).toBe(`${ONE}:7:23-24`);
  });

  it('has no separator between a thread and the next UUID, which begins with digits or not', () => {
    // as MySQL 9.7 prints it
    const printed = `${OTHER}:7#14${OTHER}:tag_9:8#13${ONE}:24#16:23#12`;
    expect(parsed(printed)).toBe(`${OTHER}:7:tag_9:8,${ONE}:23-24`);
  });

  it('may have white space and commas between sets', () => {
    expect(parsed(`${OTHER}:7#14,\n${ONE}:24#16`)).toBe(`${OTHER}:7,${ONE}:24`);
  });

  it('of another form is refused', () => {
    expect(() => parsed(`${ONE}:23@12`)).toThrow(expect.objectContaining({ code: 'DITTO_POSITION_GTID_INVALID' }));
    expect(() => parsed('ANONYMOUS')).toThrow(expect.objectContaining({ code: 'DITTO_POSITION_GTID_INVALID' }));
  });
});
