import { Redis } from 'ioredis';
import { describe, expect, test } from '@jest/globals';
import { toRedisTarget } from './redis-target.ts';

/** What the driver makes of it. */
function driverOptions(url: string, tls?: object): Redis['options'] {
  const target = toRedisTarget(url, tls);
  const client = new Redis(target.url, { lazyConnect: true, ...(target.tls && { tls: target.tls }) });
  client.disconnect();
  return client.options;
}

describe('toRedisTarget', () => {
  test.each(['redis://h/1?tls=', 'redis://h/1?tls=false', 'rediss://h/1?tls=', 'rediss://h/1?tls=x#y'])(
    'no option of the URL switches TLS off or its checks: %s',
    (url) => {
      expect(driverOptions(url, { servername: 'other', rejectUnauthorized: true })).toMatchObject({
        host: 'h',
        db: 1,
        tls: { servername: 'other', rejectUnauthorized: true },
      });
      expect(toRedisTarget(url, undefined).ignored).toEqual(['tls']);
    },
  );

  test('rediss: without the section is TLS, and redis: is not', () => {
    expect(driverOptions('rediss://h?tls=').tls).toMatchObject({ servername: 'h', rejectUnauthorized: true });
    expect(driverOptions('redis://h').tls).toBeUndefined();
  });

  test('the server is asked for its name, never for an address', () => {
    const nameOf = (url: string, servername?: string) => driverOptions(url, { servername }).tls?.servername;
    expect(nameOf('redis://redis.test')).toBe('redis.test');
    expect(nameOf('redis://redis.test', 'other.test')).toBe('other.test');
    expect(nameOf('redis://redis.test', '10.0.0.1')).toBe('');
    expect(nameOf('redis://10.0.0.1')).toBe('');
    expect(nameOf('redis://[::1]', '::1')).toBe('');
    expect(toRedisTarget('redis://[::1]:7000', undefined)).toMatchObject({ host: '::1', port: 7000 });
  });

  test('the database and the family of the address may be options too', () => {
    expect(driverOptions('redis://h?db=3&family=6&tls=x')).toMatchObject({ host: 'h', db: 3, family: 6 });
    expect(toRedisTarget('redis://h?db=3&family=6&tls=x', undefined).ignored).toEqual(['tls']);
  });

  test('no option of the URL changes what Ditto sets; host, account and database stay', () => {
    const options = driverOptions('redis://me:p%3Fw@[::1]:7000/3?commandTimeout=0&keyPrefix=x&host=other');
    expect(options).toMatchObject({ host: '::1', port: 7000, db: 3, username: 'me', password: 'p?w', keyPrefix: '' });
    expect(options.commandTimeout).toBeUndefined();
  });
});
