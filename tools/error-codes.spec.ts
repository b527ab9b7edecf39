import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const root = join(import.meta.dirname, '..');

/** Sources of what is deployed: no specs, no contract suites, nothing of the test lib. */
function listSources(): string[] {
  return ['libs', 'apps'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(
        (file) =>
          /\/src\/.*\.ts$/.test(file) && !/\.(spec|contract|model)\.ts$/.test(file) && !file.startsWith('testing/'),
      )
      .map((file) => join(root, folder, file)),
  );
}

/** A code has an area and a name; what is in brackets is the name of an environment variable. */
function findCodes(source: string): string[] {
  const quoted = source.matchAll(/(?<!\[)'(DITTO_(?:INTERNAL|[A-Z]+_[A-Z0-9_]+))'/g);
  const keyed = source.matchAll(/^\s*(DITTO_[A-Z]+_[A-Z0-9_]+):/gm);
  return [...quoted, ...keyed].map(([, code = '']) => code);
}

const usedCodes = new Set(listSources().flatMap((file) => findCodes(withoutComments(readFileSync(file, 'utf8')))));
const rows = readFileSync(join(root, 'docs/errors.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `DITTO_'))
  .map((line) =>
    line
      .split('|')
      .map((cell) => cell.trim())
      .slice(1, -1),
  );
const documentedCodes = rows.map(([code = '']) => code.replaceAll('`', ''));

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*[^]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
}

describe('docs/errors.md', () => {
  it('lists every code of the sources', () => {
    expect([...usedCodes].filter((code) => !documentedCodes.includes(code)).sort()).toEqual([]);
  });

  it('lists no code that the sources do not use', () => {
    expect(documentedCodes.filter((code) => !usedCodes.has(code))).toEqual([]);
  });

  it('says for each code, once, whether waiting helps, what it means and what to do', () => {
    expect(documentedCodes.filter((code, index) => documentedCodes.indexOf(code) !== index)).toEqual([]);
    for (const [code, retriable, meaning, wayOut] of rows) {
      expect([code, ['yes', 'no', 'either', 'warning'].includes(retriable ?? '')]).toEqual([code, true]);
      expect([code, (meaning ?? '').length > 10, (wayOut ?? '').length > 3]).toEqual([code, true, true]);
    }
  });
});
