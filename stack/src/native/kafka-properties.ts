import { join } from 'node:path';

export interface KafkaNode {
  /** 1-based; node n is broker and controller, and its controller listens on `controllerPorts[n - 1]`. */
  readonly nodeId: number;
  readonly port: number;
  readonly controllerPorts: readonly number[];
  readonly folder: string;
  readonly manyPartitions?: boolean;
}

/** After a crash a broker reads the log of each partition before it registers; a minute, Kafka's default, is too short. */
export const REGISTRATION_MS = 600_000;

/** An index file of 10 MiB for each partition and each kind is mapped into memory by default. */
const MANY_PARTITIONS: Readonly<Record<string, unknown>> = {
  'log.index.size.max.bytes': 4096,
  'initial.broker.registration.timeout.ms': REGISTRATION_MS,
  'num.recovery.threads.per.data.dir': 4,
};

const LISTENERS: ReadonlySet<string> = new Set(['listeners', 'advertised.listeners', 'listener.security.protocol.map']);

/**
 * `server.properties` of a combined broker and controller on the loopback address. A dead broker is noticed after 3 s
 * (Kafka's default: 9 s), so that fault tests don't wait long.
 *
 * @param more properties on top, one a line; listeners are added to the stack's listeners
 */
export function formatKafkaProperties(node: KafkaNode, more = ''): string {
  const { nodeId, port, controllerPorts, folder, manyPartitions = false } = node;
  const replicas = controllerPorts.length;
  const inSync = replicas > 1 ? 2 : 1;
  const voters = controllerPorts.map((controllerPort, index) => `${index + 1}@127.0.0.1:${controllerPort}`).join(',');
  const properties: Record<string, unknown> = {
    'process.roles': 'broker,controller',
    'node.id': nodeId,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPorts[nodeId - 1] ?? 0}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.quorum.voters': voters,
    'log.dirs': join(folder, 'data'),
    'auto.create.topics.enable': false,
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 8,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': 8,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'share.coordinator.state.topic.num.partitions': 3,
    'group.initial.rebalance.delay.ms': 0,
    'broker.session.timeout.ms': 3000,
    'broker.heartbeat.interval.ms': 500,
    'controller.quorum.election.timeout.ms': 300,
    'controller.quorum.election.backoff.max.ms': 200,
    'controller.quorum.fetch.timeout.ms': 1000,
    // the default of 128 MiB is allocated at start whatever the heap
    'log.cleaner.dedupe.buffer.size': 8_388_608,
    // 15 s by default, for tests of compacted topics too long
    'log.cleaner.backoff.ms': 500,
    'num.network.threads': 2,
    'num.io.threads': 4,
    ...(manyPartitions ? MANY_PARTITIONS : {}),
  };
  for (const [name, value] of parseProperties(more))
    properties[name] = LISTENERS.has(name) ? `${String(properties[name])},${value}` : value;
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${String(value)}\n`)
    .join('');
}

function parseProperties(text: string): [name: string, value: string][] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
}
