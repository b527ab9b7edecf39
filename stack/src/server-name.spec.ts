import { describe, expect, it } from '@jest/globals';
import { defaultServers, expandServers, membersOf } from './server-name.ts';

describe('expandServers', () => {
  it('gives every server of the default stack with one broker', () => {
    expect(expandServers(defaultServers, 1)).toEqual([
      'mysql-primary',
      'mysql-replica',
      'mysql-state',
      'kafka-1',
      'mongo',
      'redis',
    ]);
  });

  it('gives three brokers when three are asked for, and all of them for one', () => {
    expect(expandServers(['kafka'], 3)).toEqual(['kafka-1', 'kafka-2', 'kafka-3']);
    expect(expandServers(['kafka-2'], 3)).toEqual(['kafka-1', 'kafka-2', 'kafka-3']);
  });

  it('brings MariaDB only when it is asked for', () => {
    expect(expandServers(['mariadb', 'redis'], 1)).toEqual(['redis', 'mariadb']);
    expect(defaultServers).not.toContain('mariadb');
  });

  it('brings the primary of a replica', () => {
    expect(expandServers(['mysql-replica'], 1)).toEqual(['mysql-primary', 'mysql-replica']);
  });

  it('refuses a broker that the stack does not have', () => {
    expect(() => expandServers(['kafka-3'], 1)).toThrow(
      expect.objectContaining({ code: 'DITTO_STACK_UNKNOWN_SERVER' }),
    );
  });
});

describe('membersOf', () => {
  it('takes kafka for every broker', () => {
    expect(membersOf('kafka', ['redis', 'kafka-1', 'kafka-2'])).toEqual(['kafka-1', 'kafka-2']);
    expect(membersOf('kafka-2', ['redis', 'kafka-1', 'kafka-2'])).toEqual(['kafka-2']);
  });

  it('refuses a server that is not there', () => {
    expect(() => membersOf('mongo', ['redis'])).toThrow(
      expect.objectContaining({ code: 'DITTO_STACK_UNKNOWN_SERVER' }),
    );
  });
});
