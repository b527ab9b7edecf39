import { DittoError } from '#kernel';

/** One server that can be started and killed alone. */
export const memberNames = [
  'mysql-primary',
  'mysql-replica',
  'mysql-state',
  'kafka-1',
  'kafka-2',
  'kafka-3',
  'mongo',
  'redis',
  'mariadb',
] as const;
export type MemberName = (typeof memberNames)[number];

/** A server of the stack as callers name it; `kafka` means every broker of the stack. */
export type ServerName = MemberName | 'kafka';

/** Without MariaDB, which is started only when it is asked for. */
export const defaultServers: readonly ServerName[] = [
  'mysql-primary',
  'mysql-replica',
  'mysql-state',
  'kafka',
  'mongo',
  'redis',
];

export type KafkaBrokerCount = 1 | 3;

export function isMemberName(name: string): name is MemberName {
  return (memberNames as readonly string[]).includes(name);
}

/**
 * The members of the asked servers, in start order. A replica brings its primary; one broker of a cluster brings
 * the others, since they form one quorum.
 */
export function expandServers(servers: readonly ServerName[], kafkaBrokers: KafkaBrokerCount): MemberName[] {
  const asked = new Set<string>(servers);
  const withKafka = servers.some((name) => name.startsWith('kafka'));
  const wanted = memberNames.filter((name) => {
    if (name.startsWith('kafka-')) return withKafka && Number(name.slice('kafka-'.length)) <= kafkaBrokers;
    return asked.has(name) || (name === 'mysql-primary' && asked.has('mysql-replica'));
  });
  for (const name of servers)
    if (name !== 'kafka' && !wanted.includes(name))
      throw new DittoError(
        'DITTO_STACK_UNKNOWN_SERVER',
        `This stack of ${kafkaBrokers} Kafka broker(s) has no server "${name}".`,
        {
          context: { server: name, known: wanted },
        },
      );
  return wanted;
}

/** The members of a running stack that `name` means. */
export function membersOf(name: ServerName, members: readonly MemberName[]): MemberName[] {
  const found = members.filter((member) => member === name || (name === 'kafka' && member.startsWith('kafka-')));
  if (found.length === 0)
    throw new DittoError('DITTO_STACK_UNKNOWN_SERVER', `This stack has no server "${name}".`, {
      context: { server: name, known: members },
    });
  return found;
}
