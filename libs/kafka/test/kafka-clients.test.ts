import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll } from '@jest/globals';

import { type Stack, startStack } from '#stack';

import { KafkaJsClient, PlatformaticKafkaClient } from '../src/index.ts';
import { type BrokerCluster, describeKafkaClient } from './kafka-client.contract.ts';

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

describeKafkaClient('PlatformaticKafkaClient', (options) => new PlatformaticKafkaClient(options), cluster);
describeKafkaClient('KafkaJsClient', (options) => new KafkaJsClient(options), cluster);
