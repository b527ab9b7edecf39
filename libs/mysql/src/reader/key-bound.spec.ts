import { describe, expect, it } from '@jest/globals';
import { type CanonicalValue, type Column, type TableLayout } from '#change-events';
import { keyIsBehind, keyIsOneOf } from './key-bound.ts';

const price: Column = {
  ...{ name: 'price', kind: 'decimal', type: 'decimal', precision: 20, scale: 6 },
  ...{ unsigned: false, length: 0, charset: null, labels: [] },
};
const layout: TableLayout = { database: 'shop', table: 'orders', columns: [price], key: [0], fingerprint: 'f' };

const conditions = {
  'after a key': (value: CanonicalValue) => keyIsBehind(layout, [value]),
  'with a key': (value: CanonicalValue) => keyIsOneOf(layout, [[value]]),
};

describe.each(Object.entries(conditions))('a DECIMAL in a condition for rows %s', (_name, write) => {
  it.each(['0', '-1', '1.50', '-99999999999999.999999'])('is written as it is: %s', (value) => {
    expect(write(value)).toMatch(new RegExp(`^\\(\`price\` [=>] ${value}\\)$`));
  });

  it.each(['', ' 1', '1 OR 1=1', '1;', '1e5', '.5', '1.', '--1', '0x1F', 'NULL', '1\n', '١', 'id', null])(
    'is refused when it is not only digits: %j',
    (value) => {
      expect(() => write(value)).toThrow('a DECIMAL in a key must be written in digits');
    },
  );
});
