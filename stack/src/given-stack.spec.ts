import { describe, expect, it } from '@jest/globals';
import { GivenStack, readGivenUrls } from './given-stack.ts';
import { defaultServers } from './server-name.ts';
import { startStack } from './start-stack.ts';

const environment = {
  DITTO_STACK_MYSQL_PRIMARY_URL: 'mysql://admin:p%40ss@db1:3307',
  DITTO_STACK_MYSQL_REPLICA_URL: 'mysql://admin:secret@db2',
  DITTO_STACK_MYSQL_STATE_URL: 'mysql://admin:secret@[::1]:3306',
  DITTO_STACK_KAFKA_URL: 'broker1:9092,broker2:9093',
  DITTO_STACK_MONGO_URL: 'mongodb://u:p@m1:27018,m2:27019/?replicaSet=rs',
  DITTO_STACK_REDIS_URL: 'rediss://:pw@cache:6380',
};

describe('given servers', () => {
  it('are used when every URL is given', async () => {
    const stack = await startStack({ folder: '/nonexistent', environment });
    expect(stack.kind).toBe('given');
    expect(stack.urls()).toEqual({
      'mysql-primary': environment.DITTO_STACK_MYSQL_PRIMARY_URL,
      'mysql-replica': environment.DITTO_STACK_MYSQL_REPLICA_URL,
      'mysql-state': environment.DITTO_STACK_MYSQL_STATE_URL,
      kafka: environment.DITTO_STACK_KAFKA_URL,
      mongo: environment.DITTO_STACK_MONGO_URL,
      redis: environment.DITTO_STACK_REDIS_URL,
    });
    expect(stack.endpoint('mysql-primary')).toEqual({ host: 'db1', port: 3307, user: 'admin', password: 'p@ss' });
    expect(stack.endpoint('mysql-replica').port).toBe(3306);
    expect(stack.endpoint('mysql-state').host).toBe('::1');
    expect(stack.endpoints('kafka').map(({ host, port }) => `${host}:${port}`)).toEqual([
      'broker1:9092',
      'broker2:9093',
    ]);
    expect(stack.endpoint('mongo')).toMatchObject({ host: 'm1', port: 27018, user: 'u', password: 'p' });
    expect(stack.endpoint('redis')).toEqual({ host: 'cache', port: 6380, user: null, password: 'pw' });
  });

  it('are not looked for when no URL is given', () => {
    expect(readGivenUrls(defaultServers, { PATH: '/bin' })).toBeNull();
  });

  it('must be given completely: the error names every missing variable', () => {
    const partial = { DITTO_STACK_REDIS_URL: 'redis://cache', DITTO_STACK_MONGO_URL: '' };
    expect(() => readGivenUrls(['redis', 'mongo', 'kafka-2'], partial)).toThrow(
      expect.objectContaining({
        code: 'DITTO_STACK_URL_MISSING',
        context: { missing: ['DITTO_STACK_MONGO_URL', 'DITTO_STACK_KAFKA_URL'] },
      }),
    );
    expect(readGivenUrls(['redis'], partial)?.get('redis')).toBe('redis://cache');
  });

  it.each([
    ['redis', { DITTO_STACK_REDIS_URL: 'http://cache' }],
    ['kafka', { DITTO_STACK_KAFKA_URL: 'broker1:9092,broker2' }],
    ['mysql-state', { DITTO_STACK_MYSQL_STATE_URL: 'db1:3306' }],
  ] as const)('are refused when the URL of %s has another shape', (name, values) => {
    expect(() => readGivenUrls([name], values)).toThrow(expect.objectContaining({ code: 'DITTO_STACK_URL_INVALID' }));
  });

  it.each(['start', 'stop', 'kill', 'restart', 'freeze', 'thaw'] as const)(
    'cannot be broken: %s is refused',
    async (action) => {
      const stack = new GivenStack('/nonexistent', readGivenUrls(['redis'], environment) ?? new Map());
      await expect(stack[action]('redis')).rejects.toMatchObject({ code: 'DITTO_STACK_GIVEN_SERVER' });
      await expect(stack.down()).resolves.toBeUndefined();
    },
  );
});
