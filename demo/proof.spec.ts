import { expect, test } from '@jest/globals';
import type { Comparison } from '../test/oracle/compare-all.ts';
import { type ProofFacts, renderProof } from './proof.ts';

const none = { missing: 0, extra: 0, different: 0 };
const comparison: Comparison = {
  tables: [
    {
      database: 'shop',
      table: 'orders',
      rows: 1_000,
      mongo: { ...none, documents: 1_000, tombstones: 5 },
      kafka: { ...none, messages: 1_500, keys: 1_000, repeats: 3, outOfOrder: 0 },
    },
  ],
  differences: 0,
  samples: [],
};
const facts: ProofFacts = {
  comparison,
  comparedInMs: 1_500,
  copiedRows: 900,
  copiedInMs: 3_000,
  peakRowsPerSecond: 450,
  writer: { transactions: 40, inserted: 100, updated: 50, deleted: 10, rekeyed: 5, rolledBack: 1 },
  following: null,
  caughtUpInMs: 210,
};

test('the proof says what was compared and measured', () => {
  const text = renderProof(facts).join('\n');
  expect(text).toContain('Compared 1,000 rows of 1 tables');
  expect(text).toContain('the order of 1,500 messages, in 1.5 s');
  expect(text).toContain(
    'Copied 900 rows in 3.0 s (300 rows/s, at most 450) while the writer changed 165 rows in 40 transactions',
  );
  expect(text).toContain('210 ms after it. Messages sent more than once: 3');
  expect(text).toContain('✓ Nothing differs.');
  expect(text).not.toContain('From commit');
});

test('differences are counted and shown', () => {
  const [table] = comparison.tables;
  const tables = table === undefined ? [] : [{ ...table, kafka: { ...table.kafka, outOfOrder: 2 } }];
  const lines = renderProof({
    ...facts,
    comparison: { tables, differences: 2, samples: ['shop.orders id=5 in kafka: out of order'] },
  });
  expect(lines.at(-1)).toBe('✗ 2 differences.');
  expect(lines).toContain('  ✗ shop.orders id=5 in kafka: out of order');
});
