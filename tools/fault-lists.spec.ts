import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { findSpecs, insertFault, listNames, parseFaultList, readFaultList, readFaultScores } from './fault-lists.ts';

const root = join(import.meta.dirname, '..');
const text = `# a comment

= libs/a/src/b.ts

counts one too many
- return a;
+ return a + 1;
> libs/a/src/b.spec.ts

forgets two lines
- first();
-   second();
+
`;

describe('a list of faults', () => {
  it('gives each fault its file, its name, both texts and the spec that notices it', () => {
    const file = 'libs/a/src/b.ts';
    expect(parseFaultList(text)).toEqual([
      { file, name: 'counts one too many', find: 'return a;', replace: 'return a + 1;', spec: 'libs/a/src/b.spec.ts' },
      { file, name: 'forgets two lines', find: 'first();\n  second();', replace: '', spec: null },
    ]);
  });

  it('refuses a fault without a file, a name or a text', () => {
    for (const [, wrong] of [
      ['no file', 'a fault\n- a\n+ b'],
      ['no name', '= libs/a.ts\n- a\n+ b'],
      ['no text', '= libs/a.ts\na fault\n+ b'],
    ] as const)
      expect(() => parseFaultList(wrong)).toThrow('A fault has');
  });

  it('puts in a text that occurs once, and refuses one that does not', () => {
    const [fault] = parseFaultList(text) as [Parameters<typeof insertFault>[1]];
    expect(insertFault('f(a) { return a; }', fault)).toBe('f(a) { return a + 1; }');
    expect(() => insertFault('f(a) { return b; }', fault)).toThrow('0 times');
    expect(() => insertFault('return a; return a;', fault)).toThrow('2 times');
  });
});

describe('tools/faults', () => {
  const lists = listNames(root).map((list) => [list, readFaultList(root, list)] as const);

  it.each(lists)('%s: each text occurs once in its file, each name once, and the spec is there', (_, faults) => {
    for (const fault of faults) {
      expect(insertFault(readFileSync(join(root, fault.file), 'utf8'), fault)).not.toBe('');
      if (fault.spec !== null) expect(findSpecs(root, fault)).toContain(fault.spec);
    }
    expect(new Set(faults.map(({ file, name }) => `${file}: ${name}`)).size).toBe(faults.length);
  });

  it('has a score in docs/mutants.md for each list', () => {
    const scores = readFaultScores(readFileSync(join(root, 'docs', 'mutants.md'), 'utf8'));
    expect([...scores.keys()].sort()).toEqual(lists.map(([list]) => list));
    for (const score of scores.values()) expect(score ?? 100).toBeGreaterThanOrEqual(95);
  });
});
