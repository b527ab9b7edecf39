import { expect, it } from '@jest/globals';
import { makeColumn, makeLayout } from '../test/samples.ts';
import { isSameLayout } from './same-layout.ts';

const withLabels = (...labels: string[]) =>
  makeLayout([makeColumn('id', 'integer'), makeColumn('mood', 'enum', { labels })]);

it.each([
  [['a', '😀'], ['a', '😀'], true],
  [['a', '😀'], ['a', '?'], true],
  [['a', '😀!'], ['a', '?'], false],
  [['a', '€'], ['a', '?'], false],
  [['a', 'b'], ['a', 'c'], false],
])('labels %j and, as the catalogue has them, %j: %s', (logged, catalogued, expected) => {
  expect(isSameLayout(withLabels(...logged), withLabels(...catalogued))).toBe(expected);
  expect(isSameLayout(withLabels(...catalogued), withLabels(...logged))).toBe(expected);
});
