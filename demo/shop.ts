import type { Connection } from 'mysql2/promise';
import { shopDefinitions, type ShopTable, shopTables } from './shop-tables.ts';

export interface ShopSize {
  readonly customers: number;
  readonly products: number;
  readonly orders: number;
  readonly order_lines: number;
}

const LINES_PER_ORDER = 3;

/** How many rows each table gets so that all together have `rows`. */
export function planShop(rows: number): ShopSize {
  const customers = Math.max(1, Math.floor(rows * 0.15));
  const products = Math.max(1, Math.floor(rows * 0.02));
  const orders = Math.max(1, Math.floor((rows - customers - products) / (1 + LINES_PER_ORDER)));
  return { customers, products, orders, order_lines: Math.max(1, rows - customers - products - orders) };
}

/** Customers with numbers beyond 2^63 are every 500th. */
export function customerId(n: number): bigint {
  return n % 500 === 0 ? 9_223_372_036_854_775_808n + BigInt(n) : BigInt(n);
}

export function skuOf(n: number): string {
  const family = ['AB', 'Zø', 'ÄÖ', 'x', 'CC-', '漢'][n % 6] ?? '';
  return `${family}${String(n).padStart(7, '0')}`;
}

/** A number from 0 to 2^32 that hangs on the row and the salt only: each run makes the same shop. */
const pick = (salt: string): string => `CRC32(CONCAT('${salt}/', n))`;
const oneOf = (salt: string, ...values: readonly string[]): string =>
  `ELT(1 + ${pick(salt)} % ${values.length}, ${values.map((value) => `'${value}'`).join(', ')})`;
/** NULL for one row in `every`. */
const sometimes = (salt: string, every: number, value: string): string =>
  `IF(${pick(salt)} % ${every} = 0, NULL, ${value})`;
const moment = (salt: string): string =>
  `TIMESTAMPADD(MICROSECOND, ${pick(`${salt}.µ`)} % 1000000, TIMESTAMPADD(SECOND, ${pick(salt)} % 700000000, TIMESTAMP '2001-01-01 00:00:00'))`;
const json = (...parts: readonly string[]): string => `CAST(CONCAT(${parts.join(', ')}) AS JSON)`;
const customerIdOf = (n: string): string => `IF(${n} % 500 = 0, 9223372036854775808 + ${n}, ${n})`;
const skuAt = (n: string): string =>
  `CONCAT(ELT(1 + ${n} % 6, 'AB', 'Zø', 'ÄÖ', 'x', 'CC-', '漢'), LPAD(${n}, 7, '0'))`;

/** The expressions of each table's columns in order, over a number `n` from 1. */
function valuesOf(size: ShopSize): Readonly<Record<ShopTable, readonly string[]>> {
  return {
    customers: [
      customerIdOf('n'),
      `CONCAT(${oneOf('name', 'Zoë', 'Håkon', 'José', 'Anna', '山田', 'Олег', 'Élodie', '😀 Kim')}, ' ', ${oneOf('surname', 'García', 'Weiß', 'Øster', '李', 'Nowak', 'Smith 🦊')})`,
      `CONCAT('kunde', n, ${oneOf('mail', '@münchen.example', '@café.example', '@plain.example')})`,
      oneOf('country', 'DE', 'NO', 'JP', 'BR', 'FR', 'PL'),
      sometimes('segment', 5, oneOf('segment.which', 'private', 'business', 'öffentlich')),
      oneOf('interests', '', 'books', 'games,music', 'books,gärten', 'books,games,music,gärten'),
      sometimes('birthday', 7, `IF(n % 101 = 0, '0000-00-00', DATE(${moment('birthday')}))`),
      `IF(n % 97 = 0, 0, 1901 + ${pick('since')} % 255)`,
      `SEC_TO_TIME((CAST(${pick('offset')} % 100000000 AS SIGNED) - 50000000) / 1000)`,
      sometimes('loyalty', 6, `18446744073709551615 - ${pick('loyalty.number')}`),
      `(CAST(${pick('credit')} AS SIGNED) - 2000000000) / 100`,
      sometimes('rating', 9, `${pick('rating.value')} % 50000 / 10000`),
      `(CAST(${pick('value')} AS SIGNED) - 2000000000) / 3.7e3`,
      `${pick('newsletter')} % 2`,
      `${pick('verified')} % 2`,
      `${pick('permissions')} % 1048576`,
      `UNHEX(LEFT(SHA2(CONCAT('password/', n), 256), 32))`,
      sometimes('public', 4, `UNHEX(SHA2(CONCAT('public/', n), 256))`),
      sometimes(
        'preferences',
        8,
        json(
          `'{"theme":"'`,
          oneOf('theme', 'dark', 'hell', '明るい', '🌗'),
          `'","limits":['`,
          `${pick('limits')} % 100`,
          `',1.5,null,-0.25,1e-7],"ключ":{"größe":'`,
          `${pick('limits')} / 1024e0`,
          `',"big":9007199254740993,"leer":{},"an":true}}'`,
        ),
      ),
      sometimes(
        'notes',
        2,
        oneOf('notes.text', 'calls often', 'zahlt “pünktlich”', '🎂 in May', '', "it''s \\\\ fine"),
      ),
      sometimes('created', 12, moment('created.at')),
      moment('updated'),
    ],
    products: [
      skuAt('n'),
      `CONCAT(${oneOf('title', 'Lamp', 'Stühle', '茶碗', 'Клавиатура', 'Garden 🌱 set')}, ' ', n)`,
      `REPEAT(CONCAT('Nr. ', n, ' – ', ${oneOf('description', 'solid', 'leicht', '軽い', 'прочный')}, '. '), 1 + ${pick('length')} % 12)`,
      sometimes('manual', 2, `CONCAT('1. Auspacken\\n2. ', n, '\\t✓')`),
      sometimes('small', 3, `REPEAT('§ ', ${pick('small.print')} % 40)`),
      sometimes('thumbnail', 3, `UNHEX(LEFT(SHA2(n, 256), 32))`),
      sometimes('picture', 2, `UNHEX(REPEAT(SHA2(n, 256), 1 + ${pick('picture.size')} % 4))`),
      sometimes('datasheet', 4, `UNHEX(CONCAT('00FF', SHA2(n, 512), '0000'))`),
      sometimes('drawing', 5, `CAST('' AS BINARY)`),
      `(${pick('price')} % 100000000) / 10000`,
      `(CAST(${pick('cost')} AS SIGNED) - 2000000000) * 1234567890123.456789012345`,
      `(${pick('weight')} % 1000000) / 7`,
      sometimes('volume', 6, `${pick('volume.size')} / 1.1e5`),
      `CAST(${pick('shelf')} % 256 AS SIGNED) - 128`,
      `${pick('level')} % 256`,
      `CAST(${pick('temperature')} % 65536 AS SIGNED) - 32768`,
      `${pick('minimum')} % 65536`,
      `CAST(${pick('stock')} % 16777216 AS SIGNED) - 8388608`,
      `${pick('reorder')} % 16777216`,
      `CAST(${pick('balance')} AS SIGNED) - 2147483648`,
      pick('sold'),
      `IF(n % 2 = 0, -1, 1) * (9223372036854775807 - CAST(${pick('ean')} AS SIGNED))`,
      json(
        `'{"colour":"'`,
        oneOf('colour', 'rot', 'blå', '青'),
        `'","size":['`,
        `${pick('size')} % 300`,
        `','`,
        `${pick('size')} / 8e0`,
        `'],"stock":-'`,
        pick('size'),
        `'}'`,
      ),
      sometimes('available', 5, `DATE(${moment('available.from')})`),
      sometimes('warm', 4, `SEC_TO_TIME(CAST(${pick('warm.up')} % 6000000 AS SIGNED) - 3000000)`),
      sometimes('discontinued', 2, moment('discontinued.at')),
    ],
    orders: [
      'n',
      customerIdOf(`(1 + ${pick('customer')} % ${size.customers})`),
      oneOf('status', 'placed', 'paid', 'packed', 'shipped', 'returned'),
      moment('placed'),
      sometimes('paid', 4, moment('paid.at')),
      sometimes('deliver', 5, moment('deliver.by')),
      sometimes('shipped', 2, `DATE(${moment('shipped.on')})`),
      `SEC_TO_TIME((CAST(${pick('preparation')} AS SIGNED) - 2000000000) / 1000)`,
      `${pick('total')} / 100`,
      oneOf('currency', 'EUR', 'NOK', 'JPY', 'BRL'),
      `1 + ${pick('rate')} / 4294967296e0`,
      `CAST(${pick('channel')} % 7 AS SIGNED) - 3`,
      `${pick('express')} % 2`,
      `${pick('gift')} % 2`,
      sometimes('reference', 3, `UNHEX(LEFT(SHA2(n, 256), 2 * (${pick('reference.length')} % 17)))`),
      sometimes(
        'shipping',
        3,
        json(
          `'{"city":"'`,
          oneOf('city', 'Köln', '東京', 'São Paulo', 'Łódź'),
          `'","parcels":['`,
          `${pick('parcels')} % 9`,
          `',{"kg":'`,
          `${pick('parcels')} / 1e6`,
          `'}]}'`,
        ),
      ),
      sometimes('note', 3, oneOf('note.text', 'bitte klingeln', 'leave at the door 🚪', '', 'ÆØÅ', '再配達')),
    ],
    order_lines: [
      `1 + (n - 1) DIV ${LINES_PER_ORDER}`,
      `1 + (n - 1) % ${LINES_PER_ORDER}`,
      skuAt(`(1 + ${pick('sku')} % ${size.products})`),
      `CAST(${pick('quantity')} % 40 AS SIGNED) - 5`,
      `(${pick('unit')} % 100000000) / 10000`,
      sometimes('discount', 2, `(${pick('discount.size')} % 10000) / 100`),
      `(${pick('weight')} % 100000) / 3`,
      sometimes('tax', 6, `(${pick('tax.rate')} % 30) / 1e2`),
      sometimes('packed', 3, moment('packed.at')),
      sometimes(
        'options',
        4,
        json(
          `'{"engraving":'`,
          `IF(${pick('engraving')} % 2, '"❤ ”für dich“"', 'null')`,
          `',"wraps":'`,
          `${pick('wraps')} % 5`,
          `'}'`,
        ),
      ),
      `UNHEX(LEFT(SHA2(n, 256), 16))`,
    ],
  };
}

const ROWS_PER_TRANSACTION = 10_000;

/** Makes the database and fills it on two connections; `onRows` gets what each transaction added. */
export async function fillShop(
  connections: readonly [Connection, Connection],
  database: string,
  size: ShopSize,
  options: { readonly signal: AbortSignal; readonly onRows: (table: ShopTable, rows: number) => void },
): Promise<void> {
  const [first, second] = connections;
  await first.query(`CREATE DATABASE \`${database}\` CHARACTER SET utf8mb4`);
  for (const table of shopTables)
    await first.query(`CREATE TABLE \`${database}\`.${table} (${shopDefinitions[table]})`);
  for (const connection of connections) {
    await connection.query(`USE \`${database}\``);
    await connection.query(
      `SET SESSION sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00', cte_max_recursion_depth = ${ROWS_PER_TRANSACTION}`,
    );
  }
  const values = valuesOf(size);
  const fill = async (connection: Connection, tables: readonly ShopTable[]): Promise<void> => {
    for (const table of tables)
      for (let from = 1; from <= size[table]; from += ROWS_PER_TRANSACTION) {
        options.signal.throwIfAborted();
        const to = Math.min(size[table], from + ROWS_PER_TRANSACTION - 1);
        await connection.query(
          `INSERT INTO ${table}
           WITH RECURSIVE numbers (n) AS (SELECT ${from} UNION ALL SELECT n + 1 FROM numbers WHERE n < ${to})
           SELECT ${values[table].join(', ')} FROM numbers`,
        );
        options.onRows(table, to - from + 1);
      }
  };
  await Promise.all([fill(first, ['customers', 'products', 'orders']), fill(second, ['order_lines'])]);
}
