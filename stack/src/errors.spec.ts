import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const sources = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' }).filter(
  (file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'),
);
const thrown = new Set(
  sources.flatMap((file) =>
    [...readFileSync(join(import.meta.dirname, file), 'utf8').matchAll(/DittoError\(\s*'(DITTO_[A-Z_]+)'/g)].map(
      ([, code]) => code,
    ),
  ),
);

describe('stack/errors.md', () => {
  it('lists every code that is thrown, and no other', () => {
    const text = readFileSync(join(import.meta.dirname, '../errors.md'), 'utf8');
    const documented = [...text.matchAll(/^\| `(DITTO_[A-Z_]+)`/gm)].map(([, code]) => code);
    expect(documented.sort()).toEqual([...thrown].sort());
  });
});
