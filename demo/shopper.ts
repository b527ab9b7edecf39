import type { Connection, ResultSetHeader } from 'mysql2/promise';
import { customerId, skuOf, type ShopSize } from './shop.ts';

export const kinds = ['inserted', 'updated', 'deleted', 'rekeyed'] as const;

/** Rows by what was done to them. */
export type Act = Readonly<Partial<Record<(typeof kinds)[number], number>>>;

const FIRST_NEW_ORDER = 1_000_000_000;

/** What one connection does; its numbers are those that leave its lane as the remainder. */
export class Shopper {
  readonly #connection: Connection;
  readonly #lane: number;
  readonly #lanes: number;
  readonly #size: ShopSize;
  #made: number;

  /** @param made numbers of orders that another one may have used */
  constructor(connection: Connection, lane: number, lanes: number, size: ShopSize, made: number) {
    this.#connection = connection;
    this.#lane = lane;
    this.#lanes = lanes;
    this.#size = size;
    this.#made = made;
  }

  act(): Promise<Act> {
    const acts: readonly [number, () => Promise<Act>][] = [
      [0.25, () => this.#placeOrder()],
      [0.2, () => this.#advanceOrder()],
      [0.15, () => this.#updateCustomer()],
      [0.12, () => this.#changePrice()],
      [0.1, () => this.#changeLines()],
      [0.05, () => this.#renumberLines()],
      [0.03, () => this.#renameProduct()],
      [0.03, () => this.#replaceCustomer()],
      [0.07, () => this.#cancelOrder()],
    ];
    let at = Math.random() * acts.reduce((sum, [share]) => sum + share, 0);
    for (const [share, act] of acts) if ((at -= share) <= 0) return act();
    return this.#advanceOrder();
  }

  async #placeOrder(): Promise<Act> {
    const order = FIRST_NEW_ORDER + this.#made++ * this.#lanes + this.#lane;
    const lines = 1 + Math.floor(Math.random() * 5);
    const shipping = JSON.stringify({ city: 'Århus 🚲', parcels: [lines, { kg: Math.random() * 30 }], at: null });
    await this.#change(
      `INSERT INTO orders VALUES (?, ?, 'placed', NOW(6), NULL, NOW(3) + INTERVAL 3 DAY, NULL, SEC_TO_TIME(RAND() * 1e6 - 5e5),
       RAND() * 1e5, 'EUR', RAND() * 2, ?, b'1', ?, ?, ?, ELT(1 + RAND() * 3, NULL, 'schnell, bitte ⚡', ''))`,
      [order, customerId(this.#any('customers')), order % 5, order % 2, Buffer.from(String(order)), shipping],
    );
    const values = Array.from({ length: lines }, (_, line) => {
      const checksum = Buffer.alloc(8);
      checksum.writeUInt32LE(order);
      const price = (Math.random() * 100).toFixed(4);
      return [
        order,
        line + 1,
        skuOf(this.#any('products')),
        line,
        price,
        null,
        Math.random() * 40,
        Math.random(),
        null,
        null,
        checksum,
      ];
    });
    await this.#change('INSERT INTO order_lines VALUES ?', [values]);
    return { inserted: 1 + lines };
  }

  async #advanceOrder(): Promise<Act> {
    const updated = await this.#change(
      `UPDATE orders SET status = ELT(1 + FLOOR(RAND() * 5), 'placed', 'paid', 'packed', 'shipped', 'returned'), paid_at = NOW(),
       shipped_on = CURDATE(), deliver_by = NOW(3), express = NOT express + 0, total = total + 0.01,
       preparation = SEC_TO_TIME(RAND() * 6e6 - 3e6) WHERE id = ?`,
      [this.#order()],
    );
    return { updated };
  }

  async #updateCustomer(): Promise<Act> {
    const updated = await this.#change(
      `UPDATE customers SET rating = RAND() * 5, credit = credit - 1.5, lifetime_value = lifetime_value * 1.1,
       interests = IF(interests = '', 'books,gärten', ''), newsletter = 1 - newsletter, notes = NULL,
       clock_offset = SEC_TO_TIME(RAND() * 1e5 - 5e4), permissions = permissions ^ 5, member_since = IF(member_since = 0, 1999, 0),
       preferences = CAST(CONCAT('{"theme":"🌗","n":', FLOOR(RAND() * 1e9), ',"ratio":', RAND(), ',"deep":[[{"é":[]}]]}') AS JSON),
       created_at = NOW(6), updated_at = NOW(6) WHERE id = ?`,
      [customerId(this.#any('customers'))],
    );
    return { updated };
  }

  async #changePrice(): Promise<Act> {
    const updated = await this.#change(
      `UPDATE products SET price = RAND() * 1e5, exact_cost = -exact_cost, weight = RAND() * 1e3, volume = RAND() * 1e-9,
       stock = stock DIV 2, warm_up = '-838:59:59', picture = IF(picture IS NULL, x'00FF00', NULL), drawing = x'0100',
       attributes = JSON_OBJECT('colour', 'ny ✨', 'stock', sold) WHERE sku = ?`,
      [skuOf(this.#any('products'))],
    );
    return { updated };
  }

  async #changeLines(): Promise<Act> {
    const updated = await this.#change(
      `UPDATE order_lines SET quantity = -quantity, discount = RAND() * 100, weight = weight + 0.1, packed_at = NOW(3),
       options = '{"wraps": 1}' WHERE order_id = ?`,
      [this.#order()],
    );
    return { updated };
  }

  async #renumberLines(): Promise<Act> {
    const sql = 'UPDATE order_lines SET line = line + 1000 WHERE order_id = ? AND line < 1000';
    return { rekeyed: await this.#change(sql, [this.#order()]) };
  }

  async #renameProduct(): Promise<Act> {
    const sku = skuOf(this.#any('products'));
    const rekeyed = await this.#change(
      "UPDATE products SET sku = IF(sku LIKE '%é', TRIM(TRAILING 'é' FROM sku), CONCAT(sku, 'é')) WHERE sku IN (?, ?)",
      [sku, `${sku}é`],
    );
    return { rekeyed };
  }

  /** A customer goes and comes back as another in one transaction: a delete and an insert of one key. */
  async #replaceCustomer(): Promise<Act> {
    const id = customerId(this.#any('customers'));
    const deleted = await this.#change('DELETE FROM customers WHERE id = ?', [id]);
    const inserted = await this.#change(
      `INSERT INTO customers VALUES (?, 'Neu 🦉', 'neu@köln.example', 'DE', NULL, 'music', NULL, YEAR(NOW()), '-00:00:00.001',
       18446744073709551615, 0, 0.1, -1e-300, TRUE, b'1', b'101', x'0A00', x'', '[null, true, "x", 1e300]', '', NOW(6), NOW(6))`,
      [id],
    );
    return { deleted, inserted };
  }

  async #cancelOrder(): Promise<Act> {
    const order = this.#order();
    const lines = await this.#change('DELETE FROM order_lines WHERE order_id = ?', [order]);
    return { deleted: lines + (await this.#change('DELETE FROM orders WHERE id = ?', [order])) };
  }

  async #change(sql: string, values: readonly unknown[]): Promise<number> {
    const [result] = await this.#connection.query<ResultSetHeader>(sql, [...values]);
    return result.affectedRows;
  }

  /** One of the orders that were there at first, or that this connection placed. */
  #order(): number {
    if (this.#made > 0 && Math.random() < 0.3)
      return FIRST_NEW_ORDER + Math.floor(Math.random() * this.#made) * this.#lanes + this.#lane;
    return this.#any('orders');
  }

  #any(table: 'customers' | 'products' | 'orders'): number {
    const turns = Math.max(1, Math.floor((this.#size[table] - this.#lane) / this.#lanes));
    return 1 + this.#lane + Math.floor(Math.random() * turns) * this.#lanes;
  }
}
