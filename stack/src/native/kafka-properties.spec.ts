import { expect, it } from '@jest/globals';
import { formatKafkaProperties } from './kafka-properties.ts';

it('a broker for many partitions has small index files and long to come up, and properties of a test come last', () => {
  const node = { nodeId: 1, port: 1, controllerPorts: [2], folder: '/f' };
  const usual = formatKafkaProperties(node);
  const many = formatKafkaProperties({ ...node, manyPartitions: true }, 'num.io.threads=8\n');
  expect(usual).not.toContain('log.index.size.max.bytes');
  expect(many).toMatch(/^log\.index\.size\.max\.bytes=4096$/m);
  expect(many).toMatch(/^initial\.broker\.registration\.timeout\.ms=600000$/m);
  expect([usual, many].map((text) => /^num\.io\.threads=(\d+)$/m.exec(text)?.[1])).toEqual(['4', '8']);
});
