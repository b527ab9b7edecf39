import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { allocatorSettings } from './process-settings.ts';

const root = join(import.meta.dirname, '..');

it('images and documentation have the settings that memory is measured with', () => {
  const settings = Object.entries(allocatorSettings).map(([name, value]) => `${name}=${value}`);
  for (const [file, wanted] of [
    ['Dockerfile', settings],
    ['README.md', settings],
    ['docs/performance.md', settings],
  ] as const) {
    const text = readFileSync(join(root, file), 'utf8');
    expect([file, wanted.filter((setting) => !text.includes(setting))]).toEqual([file, []]);
  }
});
