import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { composeEnvironment, composeFile, composeServices } from './docker-stack.ts';
import { memberNames } from './server-name.ts';
import type { DockerStackState } from './stack-state.ts';

interface ComposeService {
  image?: string;
  ports?: string[];
  profiles?: string[];
  healthcheck?: { test: string[] };
  environment?: Record<string, string | number>;
  volumes?: string[];
}

const text = readFileSync(composeFile, 'utf8');
const compose = parse(text, { merge: true }) as {
  services: Record<string, ComposeService>;
  volumes: Record<string, null>;
};
const state: DockerStackState = {
  kind: 'docker',
  members: memberNames,
  project: 'ditto-test',
  kafkaBrokers: 3,
  manyPartitions: false,
  ports: Object.fromEntries(memberNames.map((member, index) => [member, 20_000 + index])),
  password: 'secret',
  clusterId: 'MkU3OEVBNTcwNTJENDM2Qg',
};

function serviceOf(member: (typeof memberNames)[number]): ComposeService {
  return compose.services[composeServices[member].service] ?? {};
}

describe('docker-compose.yml', () => {
  it.each(memberNames)('has %s with a pinned image, a health check, its data in a volume of its own', (member) => {
    const service = serviceOf(member);
    expect(service.image?.replace(/\$\{\w+:-([^}]+)\}/, '$1')).toMatch(/^[a-z/]+:\d+\.\d+/);
    expect(service.healthcheck?.test.length).toBeGreaterThan(1);
    const volumes = (service.volumes ?? []).map((volume) => volume.split(':')[0] ?? '');
    expect(volumes).toHaveLength(1);
    expect(Object.keys(compose.volumes)).toEqual(expect.arrayContaining(volumes));
  });

  it.each(memberNames)('publishes %s on the loopback address, at the port that the stack sets', (member) => {
    const [port] = serviceOf(member).ports ?? [];
    expect(port).toMatch(new RegExp(`^127\\.0\\.0\\.1:\\$\\{${composeServices[member].portVariable}:-\\d+\\}:\\d+$`));
  });

  it('gives every published port another default', () => {
    const defaults = memberNames.map((member) => /:-(\d+)/.exec(serviceOf(member).ports?.[0] ?? '')?.[1]);
    expect(new Set(defaults).size).toBe(memberNames.length);
  });

  it('advertises each broker at the port it is published on', () => {
    for (const member of ['kafka-1', 'kafka-2', 'kafka-3'] as const) {
      const service = serviceOf(member);
      const advertised = String(service.environment?.['KAFKA_ADVERTISED_LISTENERS']);
      expect(advertised).toContain(`\${${composeServices[member].portVariable}:-`);
      expect(service.environment?.['KAFKA_NODE_ID']).toBe(Number(member.slice(-1)));
      expect(service.environment?.['KAFKA_CONTROLLER_QUORUM_VOTERS']).toContain('DITTO_KAFKA_VOTERS');
    }
  });

  it('has no variable of the servers that a stack leaves unset', () => {
    const used = new Set(
      [...text.matchAll(/\$\{(DITTO_(?:TOKEN|(?:KAFKA|MYSQL|MONGO|REDIS|MARIADB|SERVER)_[A-Z0-9_]+))/g)].map(
        ([, name]) => name,
      ),
    );
    used.delete('DITTO_MYSQL_SOURCE_VERSION'); // the caller's own choice
    expect([...used].sort()).toEqual(Object.keys(composeEnvironment(state)).sort());
  });
});

describe('composeEnvironment', () => {
  it('gives brokers that are to hold many partitions more memory and time, and others the defaults', () => {
    const sizes = (manyPartitions: boolean): unknown[] => {
      const given = composeEnvironment({ ...state, manyPartitions });
      return [given['DITTO_KAFKA_HEAP'], given['DITTO_KAFKA_INDEX_BYTES'], given['DITTO_KAFKA_REGISTRATION_MS']];
    };
    expect([sizes(true), sizes(false)]).toEqual([
      ['1g', '4096', '600000'],
      ['256m', '10485760', '60000'],
    ]);
  });

  it('makes a quorum of as many voters as there are brokers', () => {
    expect(composeEnvironment(state)).toMatchObject({
      DITTO_KAFKA_VOTERS: '1@kafka:9093,2@kafka-2:9093,3@kafka-3:9093',
      DITTO_KAFKA_REPLICAS: '3',
      DITTO_KAFKA_IN_SYNC: '2',
    });
    expect(composeEnvironment({ ...state, kafkaBrokers: 1 })).toMatchObject({
      DITTO_KAFKA_VOTERS: '1@kafka:9093',
      DITTO_KAFKA_REPLICAS: '1',
      DITTO_KAFKA_IN_SYNC: '1',
    });
  });
});
