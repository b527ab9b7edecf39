import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll } from '@jest/globals';

import { type Stack, startStack } from '#stack';

import { type KafkaConnectionOptions, KafkaJsClient, PlatformaticKafkaClient } from '../src/index.ts';
import { type BrokerCluster, describeBrokerFaults, describeKafkaClient } from './kafka-client.contract.ts';

type Broker = 'kafka-1' | 'kafka-2' | 'kafka-3';

let folder = '';
let stack: Stack;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ditto-kafka-'));
  stack = await startStack({ folder, servers: ['kafka'], kafkaBrokers: 3 });
}, 180_000);

afterAll(async () => {
  await stack.down();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

function cluster(): BrokerCluster {
  const name = (broker: number) => `kafka-${broker}` as Broker;
  return {
    brokers: stack.url('kafka').split(','),
    kill: (broker) => stack.kill(name(broker)),
    start: (broker) => stack.start(name(broker)),
    freeze: (broker) => stack.freeze(name(broker)),
    thaw: (broker) => stack.thaw(name(broker)),
  };
}

const clients = {
  PlatformaticKafkaClient: (options: KafkaConnectionOptions) => new PlatformaticKafkaClient(options),
  KafkaJsClient: (options: KafkaConnectionOptions) => new KafkaJsClient(options),
};

for (const [name, create] of Object.entries(clients)) describeKafkaClient(name, create, cluster);
describeBrokerFaults(clients, cluster);
