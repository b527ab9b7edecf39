import { SourceMap } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import { transform } from 'esbuild';
import fc from 'fast-check';
import { keepLines } from './source-map-lines.ts';

const statement = fc.constantFrom(
  'a = f(1, 2) + g(3);',
  'if (b) { c.d(e, "text"); }',
  '',
  'h = function (x) {\n  return x.map((y) => y * 2);\n};',
);

/** Of an entry, by what traces show. */
function placeOf(map: SourceMap, line: number, column: number): string {
  const entry = map.findEntry(line, column);
  return 'originalLine' in entry ? `${entry.originalSource}:${entry.originalLine}` : 'none';
}

describe('keepLines', () => {
  it('shows the same lines of the same sources as all entries do, and has a fraction of them', async () => {
    let [all, few] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        fc.array(statement, { minLength: 1, maxLength: 30, size: 'max' }),
        fc.boolean(),
        async (lines, minifyWhitespace) => {
          const options = { sourcemap: 'external', sourcefile: 'a.ts', sourcesContent: false } as const;
          const { code, map } = await transform(lines.join('\n'), { ...options, minifyWhitespace, loader: 'js' });
          const payload = JSON.parse(map) as ConstructorParameters<typeof SourceMap>[0];
          const kept = { ...payload, names: [], mappings: keepLines(payload.mappings) };
          const [before, after] = [new SourceMap(payload), new SourceMap(kept)];
          for (const [line, text] of code.split('\n').entries())
            for (let column = 0; column < text.length; column++)
              expect(placeOf(after, line, column)).toBe(placeOf(before, line, column));
          all += payload.mappings.split(/[,;]/).length;
          few += kept.mappings.split(/[,;]/).length;
        },
      ),
      { numRuns: 60 },
    );
    expect(few).toBeLessThan(all / 2);
  });

  it('keeps what is of no source', () => {
    expect(keepLines('AAAA,CAAC,E,GACA;AAAA')).toBe('AAAA,G,GACC;AAAA');
  });
});
