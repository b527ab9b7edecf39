import { describe, expect, it } from '@jest/globals';
import { describeMove } from './describe-move.ts';

describe('describeMove', () => {
  it.each([
    [{ to: 'b', from: 'a' }, /^eu is placed on b; a runs it now, drains it and hands it over\.$/m],
    [{ to: 'b', from: null }, /^eu is placed on b; nobody runs it now, so it is taken there\.$/m],
    [{ to: 'a', from: 'a' }, /^eu runs on a already/],
    [{ to: null, from: null }, /^eu may run anywhere now \(it runs on no instance\)/],
  ])('says what follows: %j', (parts, text) => {
    expect(describeMove(JSON.stringify({ moving: 'eu', ...parts }))).toMatch(text);
  });
});
