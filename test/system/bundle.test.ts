import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { testStack } from '#testing';
import { createTables, fill, workloadTables } from './workload.ts';
import { World, type ServiceInstance } from './world.ts';

const dist = join(import.meta.dirname, '../../dist');
const services = ['dcs', 'dss', 'dws'] as const;
const instances = new Map<string, ServiceInstance>();
let world: World;

function find(service: (typeof services)[number]): ServiceInstance {
  const instance = instances.get(service);
  if (instance === undefined) throw new TypeError(`${service} was not started`);
  return instance;
}

beforeAll(async () => {
  const brokers = (await testStack()).url('kafka').split(',');
  world = await World.create({ tables: workloadTables, configuration: { kafka: { brokers, client: 'kafkajs' } } });
  const mysql = await world.connect();
  await createTables(world, mysql);
  await fill(mysql, 300);
  for (const service of services) instances.set(service, await world.start(service));
}, 120_000);

afterAll(() => world.close());

describe('the built services', () => {
  it.each(services)('%s shows its API pages, with their files', async (service) => {
    const { url } = find(service);
    const document = (await (await fetch(`${url}/docs-json`)).json()) as { info: object; paths: object };
    expect(document.info).toMatchObject({ title: `Ditto ${service.toUpperCase()}`, version: expect.any(String) });
    expect(Object.keys(document.paths)).toContain('/health/ready');
    for (const page of ['docs', 'docs/swagger-ui-bundle.js', 'docs/swagger-ui.css'])
      expect([page, (await fetch(`${url}/${page}`)).status]).toEqual([page, 200]);
  });

  it('replicate, by the writes that the driver is given as bytes too', async () => {
    await world.waitUntilCaughtUp(find('dss'));
    expect(await world.compare()).toMatchObject({ samples: [], differences: 0 });
  }, 120_000);

  // an unchanged kafkajs has Node warn of its timers
  it.each(services)('%s has no warning of Node in its log', (service) => {
    expect(readFileSync(find(service).log, 'utf8')).not.toMatch(/^\(node:\d+\)/m);
  });
});

function listBundles(): string[] {
  const names = readdirSync(dist, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.mjs') && !name.startsWith('node_modules'));
}

it('I9: the programs are ASCII: Node keeps the text of any other in two bytes a character', () => {
  const others = listBundles().filter((name) => readFileSync(join(dist, name)).some((byte) => byte > 0x7f));
  expect([others, listBundles().length > 4]).toEqual([[], true]);
});

describe('a library that is changed by Ditto', () => {
  /** How often all bundles together contain the text that defines a class; names stay as they are. */
  function countCopies(name: string): number {
    const text = listBundles()
      .map((name) => readFileSync(join(dist, name), 'utf8'))
      .join('\n');
    return text.split(`__name(this,"${name}")`).length - 1;
  }

  it.each([
    ['kafkajs', 'RequestQueue'],
    ['mongodb', 'OpMsgRequest'],
  ])('%s has one copy of %s', (_, name) => {
    expect(countCopies(name)).toBe(1);
  });
});
