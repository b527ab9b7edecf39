import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cruise, type IConfiguration, type ICruiseResult } from 'dependency-cruiser';

const rulesFile = join(import.meta.dirname, '..', '.dependency-cruiser.mjs');
const { default: configuration } = (await import(rulesFile)) as { default: IConfiguration };
const rules = configuration.forbidden ?? [];

/** The rule, the file that breaks it, and what that file imports. */
const offences: readonly (readonly [rule: string, file: string, imported: string])[] = [
  ['no-circular', 'libs/mysql/src/one.ts', 'libs/mysql/src/two.ts'],
  ['kernel-uses-libs', 'libs/kernel/src/a.ts', 'libs/change-events/src/index.ts'],
  ['kernel-uses-packages', 'libs/kernel/src/b.ts', 'node_modules/zod/index.js'],
  ['change-events-uses-libs', 'libs/change-events/src/a.ts', 'libs/replication/src/index.ts'],
  ['change-events-uses-packages', 'libs/change-events/src/b.ts', 'node_modules/mysql2/index.js'],
  ['replication-uses-libs', 'libs/replication/src/a.ts', 'libs/kafka/src/index.ts'],
  ['replication-uses-packages', 'libs/replication/src/b.ts', 'node_modules/@nestjs/common/index.js'],
  ['replication-ports-folder', 'libs/replication/src/ports/a.ts', 'libs/replication/src/tables/b.ts'],
  ['replication-pace-folder', 'libs/replication/src/pace/a.ts', 'libs/replication/src/tables/b.ts'],
  ['replication-tables-folder', 'libs/replication/src/tables/a.ts', 'libs/replication/src/windows/b.ts'],
  ['replication-windows-folder', 'libs/replication/src/windows/a.ts', 'libs/replication/src/statements/b.ts'],
  ['replication-statements-folder', 'libs/replication/src/statements/a.ts', 'libs/replication/src/stream/b.ts'],
  ['replication-stream-folder', 'libs/replication/src/stream/a.ts', 'libs/replication/src/snapshot/b.ts'],
  ['verification-uses-libs', 'libs/verification/src/a.ts', 'libs/mongo/src/index.ts'],
  ['verification-uses-packages', 'libs/verification/src/b.ts', 'node_modules/zod/index.js'],
  ['mysql-uses-libs', 'libs/mysql/src/a.ts', 'libs/mongo/src/index.ts'],
  ['mysql-uses-packages', 'libs/mysql/src/b.ts', 'node_modules/kafkajs/index.js'],
  ['kafka-uses-libs', 'libs/kafka/src/a.ts', 'libs/mysql/src/index.ts'],
  ['kafka-uses-packages', 'libs/kafka/src/b.ts', 'node_modules/mongoose/index.js'],
  ['mongo-uses-libs', 'libs/mongo/src/a.ts', 'libs/kafka/src/index.ts'],
  ['mongo-uses-packages', 'libs/mongo/src/b.ts', 'node_modules/ioredis/index.js'],
  ['redis-uses-libs', 'libs/redis/src/a.ts', 'libs/state/src/index.ts'],
  ['redis-uses-packages', 'libs/redis/src/b.ts', 'node_modules/typeorm/index.js'],
  ['state-uses-libs', 'libs/state/src/a.ts', 'libs/redis/src/index.ts'],
  ['state-uses-packages', 'libs/state/src/b.ts', 'node_modules/ioredis/index.js'],
  ['dcs-client-uses-libs', 'libs/dcs-client/src/a.ts', 'libs/platform/src/index.ts'],
  ['dcs-client-uses-packages', 'libs/dcs-client/src/b.ts', 'node_modules/ioredis/index.js'],
  ['configuration-uses-libs', 'libs/configuration/src/a.ts', 'libs/change-events/src/index.ts'],
  ['configuration-uses-packages', 'libs/configuration/src/b.ts', 'node_modules/@nestjs/common/index.js'],
  ['platform-uses-libs', 'libs/platform/src/a.ts', 'libs/change-events/src/index.ts'],
  ['platform-uses-packages', 'libs/platform/src/b.ts', 'node_modules/mysql2/index.js'],
  ['apps-are-islands', 'apps/dss/src/a.ts', 'apps/dcs/src/main.ts'],
  ['libs-by-index-only', 'apps/dws/src/a.ts', 'libs/mysql/src/inside.ts'],
  ['no-dev-deps-in-src', 'apps/dcs/src/a.ts', 'node_modules/jest/index.js'],
  ['oracle-shares-nothing', 'test/oracle/a.ts', 'libs/kernel/src/index.ts'],
  ['second-way-shares-nothing', 'libs/mongo/src/texts/a.ts', 'libs/mongo/src/bson-writer.ts'],
  ['second-way-shares-nothing', 'libs/kafka/src/texts/a.ts', 'libs/change-events/src/index.ts'],
  ['second-way-shares-nothing', 'libs/mysql/src/texts/a.ts', 'libs/mysql/src/codec/value-code.ts'],
  ['second-way-shares-nothing', 'libs/verification/src/texts/a.ts', 'libs/verification/src/messages/message-row.ts'],
  ['not-unresolvable', 'libs/mongo/src/c.ts', 'libs/mongo/src/missing.ts'],
];
const packages = ['zod', 'mysql2', '@nestjs/common', 'kafkajs', 'mongoose', 'ioredis', 'typeorm'];

let root: string;
let found: ICruiseResult['summary']['violations'];

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

/** A small project in which each rule is broken once. */
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'import-rules-'));
  const versions = Object.fromEntries(packages.map((name) => [name, '1.0.0']));
  write('package.json', JSON.stringify({ type: 'module', dependencies: versions, devDependencies: { jest: '1.0.0' } }));
  for (const name of [...packages, 'jest', 'unlisted']) {
    write(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
    write(`node_modules/${name}/index.js`, 'export const value = 1;');
  }
  for (const [, file, imported] of offences) {
    if (!/node_modules|missing/.test(imported)) write(imported, 'export const value = 1;');
    const name = imported.startsWith('node_modules/')
      ? imported.slice('node_modules/'.length, -'/index.js'.length)
      : `${'../'.repeat(file.split('/').length - 1)}${imported}`;
    write(file, `import { value } from '${name}';\nexport const own = value;`);
  }
  write('libs/mysql/src/two.ts', "import { own } from './one.ts';\nexport const value = own;");
  write('libs/mysql/src/c.ts', "export { value } from 'unlisted';");
  const { output } = await cruise(['apps', 'libs', 'test'], {
    ...configuration.options,
    tsConfig: {},
    baseDir: root,
    validate: true,
    ruleSet: { forbidden: rules },
  });
  found = (output as ICruiseResult).summary.violations;
});

afterAll(() => {
  rmSync(root, { recursive: true });
});

describe('import rules', () => {
  it.each(offences)('%s refuses %s importing %s', (rule, file) => {
    expect(found.filter(({ from }) => from === file).map((violation) => violation.rule.name)).toContain(rule);
  });

  it('refuse a package that package.json does not list', () => {
    const names = found.filter(({ from }) => from === 'libs/mysql/src/c.ts').map(({ rule }) => rule.name);
    expect(names).toEqual(expect.arrayContaining(['not-unlisted', 'mysql-uses-packages']));
  });

  it('are each broken by this test', () => {
    const tried = new Set([...offences.map(([rule]) => rule), 'not-unlisted', 'no-orphans']);
    expect(rules.map(({ name }) => name ?? '').filter((name) => !tried.has(name))).toEqual([]);
  });

  it('are there for every lib that services use', () => {
    const libs = readdirSync(join(import.meta.dirname, '..', 'libs')).filter((lib) => lib !== 'testing');
    const named = rules.map(({ name }) => name);
    expect(libs.filter((lib) => !named.includes(`${lib}-uses-libs`))).toEqual([]);
  });
});
