import { describe, expect, it } from '@jest/globals';
import { InsertFirst } from './insert-first.ts';

describe('InsertFirst', () => {
  it('continues while documents are new', () => {
    const inserts = new InsertFirst();
    inserts.report(100, 25);
    expect(inserts.next()).toBe(true);
  });

  it('pauses when many were there, then tries again', () => {
    const inserts = new InsertFirst();
    inserts.report(100, 26);
    const answers = Array.from({ length: 33 }, () => inserts.next());
    expect(answers.filter(Boolean)).toHaveLength(1);
    expect(answers.at(-1)).toBe(true);
  });
});
