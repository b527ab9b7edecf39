import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MySqlRowReader } from '#mysql';
import { encodeKeyValues, type Row, rowOfKey, type TableLayout, ValueImages } from '#change-events';
import { testStack } from '#testing';
import { type RowsItem, TestSource } from './test-source.ts';

/** Members of every JavaScript object, names that its objects sort before others, and what a select list could call a column. */
const NAMES = [
  ...Object.getOwnPropertyNames(Object.prototype),
  ...[
    'toJSON',
    'then',
    '10',
    '2',
    '01',
    ' a',
    'a.b',
    'a`b',
    "a'b",
    'a"b',
    'a\\b',
    'ä',
    'a?',
    'c0',
    'c1',
    '_bsontype',
    '$id',
  ],
];
const KEY = ['10', '2', '__proto__', 'c1'];

const signal = new AbortController().signal;

function quote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** What JSON.parse does not lose: members in the order of the text. */
function memberNames(json: string): string[] {
  return Array.from(json.matchAll(/"((?:[^"\\]|\\.)*)":/g), ([, name]) => JSON.parse(`"${name ?? ''}"`) as string);
}

function jsonOf(layout: TableLayout, row: Row): { readonly row: string; readonly key: string } {
  const images = new ValueImages(layout, [row]);
  const target = Buffer.alloc(2 * images.jsonBound(0, 'number'));
  return {
    row: target.toString('utf8', 0, images.writeJson(0, target, 0, 'number')),
    key: target.toString('utf8', 0, images.writeKey(0, target, 0, 'number')),
  };
}

describe.each(['mysql-primary', 'mariadb'] as const)(
  'columns with names that JavaScript or SQL might trip over, %s',
  (server) => {
    let source: TestSource;
    let reader: MySqlRowReader;
    let streamed: RowsItem;

    beforeAll(async () => {
      source = await TestSource.open('names', (await testStack()).url(server));
      reader = new MySqlRowReader({ connection: source.connection, includes: source.includes });
      const from = await source.executedSet();
      const columns = NAMES.map((name) => `${quote(name)} INT NOT NULL`).join(', ');
      await source.run(
        `CREATE TABLE odd (${columns}, PRIMARY KEY (${KEY.map(quote).join(', ')}))`,
        // the first columns fall while the key grows: ordered by a select list's names the chunks would be wrong
        ...[1, 2, 3].map(
          (n) =>
            `INSERT INTO odd VALUES (${NAMES.map((name, i) => (KEY.includes(name) ? n : 100 * i - n)).join(', ')})`,
        ),
      );
      streamed = (await source.readRows(from))[0] as RowsItem;
    });
    afterAll(async () => {
      reader.close();
      await source.close();
    });

    async function layout(): Promise<TableLayout> {
      const found = (await reader.listTables(signal)).find(({ table }) => table === 'odd');
      if (found === undefined) throw new Error('the table is not listed');
      return found;
    }

    test('I4: are read in chunks and by key as the log has them', async () => {
      const odd = await layout();
      expect(odd.fingerprint).toBe(streamed.layout.fingerprint);
      const request = { layout: odd, limit: 2, dispatchedSet: '', signal };
      const first = await reader.readChunk({ ...request, after: null });
      const second = await reader.readChunk({ ...request, after: first.lastKey });
      const rows = [...first.rows, ...second.rows];
      expect(rows.map((row) => encodeKeyValues(odd, row))).toEqual(['[1,1,1,1]', '[2,2,2,2]', '[3,3,3,3]']);
      expect(rows[0]).toEqual(streamed.after?.[0]);
      const keys = [rowOfKey(odd, [2, 2, 2, 2]), rowOfKey(odd, [9, 9, 9, 9])];
      const found = await reader.readKeys({ layout: odd, keys, dispatchedSet: '', signal });
      expect(found.rows).toEqual([rows[1]]);
      expect(found.absent).toEqual([keys[1]]);
    });

    test('have all their members, in column order, in the JSON of rows and keys', async () => {
      const { row, key } = jsonOf(await layout(), streamed.after?.[0] as Row);
      expect(memberNames(row)).toEqual(NAMES);
      expect(memberNames(key)).toEqual(KEY);
      const parsed = JSON.parse(row) as object;
      expect(Object.getOwnPropertyDescriptor(parsed, '__proto__')?.value).toBe(1);
    });
  },
);
