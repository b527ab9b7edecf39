import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { allocatorSettings } from './allocator-settings.ts';

const root = join(import.meta.dirname, '..');

it('images and documentation have the settings of the allocator that memory is measured with', () => {
  const settings = Object.entries(allocatorSettings).map(([name, value]) => `${name}=${value}`);
  for (const file of ['Dockerfile', 'README.md', 'docs/performance.md']) {
    const text = readFileSync(join(root, file), 'utf8');
    expect([file, settings.filter((setting) => !text.includes(setting))]).toEqual([file, []]);
  }
});
