import { describe, expect, it } from '@jest/globals';
import { FAMILIES, TABLES } from './matrix.ts';
import { Random } from './random.ts';
import { CHARACTER_SETS } from './texts.ts';

const tested = TABLES.flatMap(({ columns }) => columns);

function takeValues(seed: number): string[] {
  const random = new Random(seed);
  return tested.map((column) => column.random(random));
}

describe('the matrix of types', () => {
  it('tests every column of every family that is documented', () => {
    for (const { mysql, columns } of FAMILIES)
      expect({ mysql, untested: columns.filter((column) => !tested.includes(column)) }).toEqual({
        mysql,
        untested: [],
      });
  });

  it('tests columns of every character set', () => {
    const declared = tested.map(({ declaration }) => /CHARACTER SET (\w+)/.exec(declaration)?.[1]);
    expect(CHARACTER_SETS.filter((charset) => !declared.includes(charset))).toEqual([]);
  });

  it('gives the same values for the same seed, others for another', () => {
    expect(takeValues(7)).toEqual(takeValues(7));
    const [first, second] = [takeValues(7), takeValues(8)];
    expect(first.filter((value, i) => value === second[i]).length).toBeLessThan(first.length / 4);
  });
});

describe('random numbers', () => {
  it('reach both bounds and nothing beyond', () => {
    const random = new Random(1);
    const numbers = new Set(Array.from({ length: 1000 }, () => random.between(-2, 2)));
    expect([...numbers].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2]);
  });

  it('give lengths from nothing to the most', () => {
    const random = new Random(1);
    const lengths = Array.from({ length: 5000 }, () => random.length(40));
    expect([Math.min(...lengths), Math.max(...lengths)]).toEqual([0, 39]);
  });
});
