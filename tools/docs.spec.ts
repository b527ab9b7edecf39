import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { configJsonSchema, renderConfigurationPage, readOptionFacts, configSchema } from '#configuration';
import { renderTypesPage } from '../test/types/types-page.ts';

const root = join(import.meta.dirname, '..');

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

const REGENERATE = 'stale: run npm run docs';

describe('docs/configuration.md', () => {
  it('is what the schema says', () => {
    expect({ [REGENERATE]: read('docs/configuration.md') }).toEqual({ [REGENERATE]: renderConfigurationPage() });
  });

  it('gives a meaning for every option', () => {
    const rows = renderConfigurationPage()
      .split('\n')
      .filter((line) => line.startsWith('| `') && !line.startsWith('| `DITTO_'));
    expect(rows.length).toBeGreaterThan(90);
    expect(rows.filter((row) => /\| *\|$/.test(row))).toEqual([]);
    for (const section of Object.values(configSchema.shape)) expect(readOptionFacts(section).description).not.toBe('');
  });
});

describe('docs/types.md', () => {
  it('is what the matrix of types says', () => {
    const page = read('docs/types.md');
    expect({ [REGENERATE]: page }).toEqual({ [REGENERATE]: renderTypesPage(page) });
  });
});

describe('docs/ditto.schema.json', () => {
  const check = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(configJsonSchema());

  it('is what the schema says', () => {
    expect({ [REGENERATE]: JSON.parse(read('docs/ditto.schema.json')) as unknown }).toEqual({
      [REGENERATE]: configJsonSchema(),
    });
  });

  it('accepts the example', () => {
    expect(check(parse(read('ditto.example.yaml')))).toBe(true);
  });

  it('shows what is wrong in an editor', () => {
    const good = parse(read('ditto.example.yaml')) as Record<string, object>;
    expect(check({ ...good, auht: {} })).toBe(false);
    expect(check({ ...good, redis: { url: { evn: 'X' } } })).toBe(false);
    expect(check({ ...good, log: { level: 'loud' } })).toBe(false);
    expect(check({ ...good, dss: { inFlightBytes: true } })).toBe(false);
    expect(check({ ...good, sources: { Shop: good['sources'] } })).toBe(false);
  });
});
