import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createContext, Script } from 'node:vm';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import ts from 'typescript';

const root = join(import.meta.dirname, '..');
const LENGTH = 1_000_000;
/** A hundred times what a linear one takes. */
const LIMIT_MS = 3_000;

/** Every regular expression that is written in the services and libs. */
function findExpressions(): { readonly place: string; readonly expression: RegExp }[] {
  const paths = globSync('{apps,libs}/*/src/**/*.ts', { cwd: root }).filter(
    (path) => !/\.(?:spec|model)\.ts$/.test(path),
  );
  const expressions = paths.sort().flatMap((path) => {
    const file = ts.createSourceFile(path, readFileSync(join(root, path), 'utf8'), ts.ScriptTarget.Latest);
    const found: { place: string; expression: RegExp }[] = [];
    const visit = (node: ts.Node): void => {
      if (node.kind === ts.SyntaxKind.RegularExpressionLiteral) {
        const [, source = '', flags] = /^\/(.*)\/([a-z]*)$/s.exec((node as ts.RegularExpressionLiteral).text) ?? [];
        const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
        found.push({ place: `${path}:${line + 1}`, expression: new RegExp(source, flags) });
      }
      ts.forEachChild(node, visit);
    };
    visit(file);
    return found;
  });
  return [...new Map(expressions.map((found) => [String(found.expression), found])).values()];
}

/** Short texts that it matches; none where fast-check can't make any. */
function samplesOf({ source }: RegExp): string[] {
  try {
    return fc.sample(fc.stringMatching(new RegExp(source, 's'), { size: 'xsmall' }), { numRuns: 3, seed: 7 });
  } catch {
    return [];
  }
}

/** Where backtracking hides: a character or a part of a match, repeated to a megabyte, then an end that fails. */
function* hostileTexts(expression: RegExp): Generator<string> {
  const repeat = (start: string, part: string): string => start + part.repeat(Math.ceil(LENGTH / part.length));
  const units = new Set([' ', 'a', '0', '"', '://', ...Array.from(expression.source.replaceAll(/\\[a-zA-Z]/g, ''))]);
  for (const unit of units) yield `${repeat('', unit)}\u0001`;
  yield `${repeat('', ' ')}"`;
  for (const quote of ['"', "'", '`']) yield repeat(quote, `\\${quote}`);
  for (const sample of samplesOf(expression)) {
    const steps = Math.ceil(sample.length / 5);
    for (let at = 0; at < sample.length; at += steps) {
      yield `${repeat(sample.slice(0, at), sample.charAt(at))}\u0001`;
      yield `${repeat('', sample.slice(0, at + 1))}\u0001`;
    }
  }
}

const scope = createContext({});
const replaceAll = new Script("text.replace(expression, '')");
const test = new Script('expression.test(text)');

/** Tried again before it counts: a busy machine can hold up any run, a slow expression takes long each time. */
function isSlow(expression: RegExp, text: string, triesLeft = 2): boolean {
  Object.assign(scope, { expression, text });
  try {
    (expression.global ? replaceAll : test).runInContext(scope, { timeout: LIMIT_MS });
    return false;
  } catch {
    return triesLeft === 0 || isSlow(expression, text, triesLeft - 1);
  }
}

it('no regular expression takes long on a megabyte, whatever is in it', () => {
  const slow = findExpressions().flatMap(({ place, expression }) => {
    for (const text of hostileTexts(expression))
      if (isSlow(expression, text)) return [`${place} ${String(expression)} on ${JSON.stringify(text.slice(0, 20))}…`];
    return [];
  });
  expect(slow).toEqual([]);
}, 180_000);
