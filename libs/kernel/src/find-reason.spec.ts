import { expect, it } from '@jest/globals';
import { findReason } from './find-reason.ts';

const refused = (address: string): Error =>
  Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: 'ECONNREFUSED' });

it.each([
  [new Error('no'), 'no'],
  ['thrown as a text', 'thrown as a text'],
  [new AggregateError([refused('::1:6379'), refused('127.0.0.1:6379')]), 'connect ECONNREFUSED 127.0.0.1:6379'],
  [new AggregateError([refused('::1:6379')], 'all failed'), 'all failed'],
  [Object.assign(new AggregateError([]), { code: 'ETIMEDOUT' }), 'ETIMEDOUT'],
  [new AggregateError([Object.assign(new Error(''), { code: 'EHOSTUNREACH' })]), 'EHOSTUNREACH'],
  [new Error('', { cause: refused('127.0.0.1:1') }), 'connect ECONNREFUSED 127.0.0.1:1'],
  [new RangeError(''), 'RangeError'],
])('the reason of %p is: %s', (error, reason) => {
  expect(findReason(error)).toBe(reason);
});
