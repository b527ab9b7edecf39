import { describe, expect, test } from '@jest/globals';
import { RedisKeys } from './redis-keys.ts';

describe('key names', () => {
  const keys = new RedisKeys('ditto');

  test('are these, and stay so: an upgrade must find what the version before it wrote', () => {
    expect([
      keys.sources(),
      keys.token('shop'),
      keys.offset('shop'),
      keys.lease('shop'),
      keys.recent('shop'),
      keys.recentTurn('shop'),
      keys.gapCheck('shop'),
      keys.services(),
      keys.servers('shop'),
      keys.tables('shop'),
      keys.events('shop', 'store.orders'),
      keys.gaps('shop', 'store.orders'),
    ]).toEqual([
      'ditto:sources',
      'ditto:{shop}:token',
      'ditto:{shop}:offset',
      'ditto:{shop}:lease',
      'ditto:{shop}:recent',
      'ditto:{shop}:recent:turn',
      'ditto:{shop}:gap-check',
      { status: 'ditto:services', expiry: 'ditto:services:expiry' },
      { status: 'ditto:{shop}:servers', expiry: 'ditto:{shop}:servers:expiry' },
      'ditto:{shop}:tables',
      'ditto:{shop}:events:store.orders',
      'ditto:{shop}:gaps:store.orders',
    ]);
  });

  test('of one source share a hash tag, so a script may touch them together', () => {
    const names = [
      keys.token('a'),
      keys.offset('a'),
      keys.lease('a'),
      keys.recent('a'),
      keys.recentTurn('a'),
      keys.gapCheck('a'),
      keys.tables('a'),
      keys.events('a', 'd.t'),
      keys.gaps('a', 'd.t'),
    ];
    expect(names.map((name) => /\{([^}]+)\}/.exec(name)?.[1])).toEqual(names.map(() => 'a'));
  });

  test('of two deployments never meet', () => {
    expect(new RedisKeys('one').lease('shop')).not.toBe(new RedisKeys('two').lease('shop'));
  });
});
