import type { Connection } from 'mysql2/promise';
import type { World } from './world.ts';

/** Two tables, one with a composite key, that the workload changes in every way a row can change. */
export const workloadTables = ['orders', 'order_lines'] as const;

export async function createTables(world: Pick<World, 'database'>, connection: Connection): Promise<void> {
  await connection.query(`
    USE ${world.database};
    CREATE TABLE orders (
      id BIGINT UNSIGNED PRIMARY KEY, customer INT NOT NULL, status ENUM('new','paid','sent') NOT NULL,
      total DECIMAL(12,2) NULL, placed DATETIME(6) NOT NULL, note TEXT NULL, extra JSON NULL
    );
    CREATE TABLE order_lines (
      order_id BIGINT UNSIGNED NOT NULL, line SMALLINT NOT NULL, sku VARCHAR(30) NOT NULL, quantity INT NOT NULL,
      price FLOAT NOT NULL, PRIMARY KEY (order_id, line)
    );`);
}

/** Fills both tables: `orders` rows of the first, two lines each. */
export async function fill(connection: Connection, orders: number, firstId = 1): Promise<void> {
  for (let from = firstId; from < firstId + orders; from += 1000) {
    const ids = Array.from({ length: Math.min(1000, firstId + orders - from) }, (_, index) => from + index);
    await connection.query(
      `INSERT INTO orders VALUES ${ids.map((id) => `(${id}, ${id % 997}, 'new', ${id}.25, NOW(6), 'note ${id} – ünïcode 🐬', '{"id": ${id}, "tags": ["a", 1.5]}')`).join(',')}`,
    );
    await connection.query(
      `INSERT INTO order_lines VALUES ${ids.map((id) => `(${id}, 1, 'sku-${id % 50}', ${id % 9}, 1.5),(${id}, 2, 'sku-${id % 51}', 2, 0.1)`).join(',')}`,
    );
  }
}

/** Changes rows in small transactions until stopped: inserts, updates, deletes, key changes, rollbacks. */
export class Writer {
  transactions = 0;
  readonly #connection: Connection;
  readonly #keys: number;
  readonly #pauseMs: number;
  #stopped = false;
  readonly #work: Promise<void>;
  /** Resolves when nothing is written any more: by `stop`, or because its server is gone. */
  readonly ended: Promise<void>;

  constructor(connection: Connection, options: { readonly keys: number; readonly pauseMs?: number }) {
    this.#connection = connection;
    this.#keys = options.keys;
    this.#pauseMs = options.pauseMs ?? 0;
    this.#work = this.#run();
    this.ended = this.#work.catch(() => undefined); // reported by stop()
  }

  async stop(): Promise<number> {
    this.#stopped = true;
    await this.#work;
    return this.transactions;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.#connection.query('BEGIN');
      for (let i = 0; i < 1 + (this.transactions % 4); i++) await this.#change();
      await this.#connection.query(this.transactions % 11 === 10 ? 'ROLLBACK' : 'COMMIT');
      this.transactions++;
      if (this.#pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
    }
  }

  async #change(): Promise<void> {
    const id = 1 + Math.floor(Math.random() * this.#keys);
    const kind = Math.random();
    const connection = this.#connection;
    if (kind < 0.3)
      await connection.query(
        `REPLACE INTO orders (id, customer, status, total, placed, note, extra) VALUES (?, ?, 'paid', ?, NOW(6), ?, ?)`,
        [id, id % 13, id / 4, `again ${id}`, JSON.stringify({ n: kind })],
      );
    else if (kind < 0.65)
      await connection.query(
        `UPDATE orders SET status = 'sent', total = total + 1, note = CONCAT('at ', NOW(6)) WHERE id = ?`,
        [id],
      );
    else if (kind < 0.75) await connection.query('DELETE FROM orders WHERE id = ?', [id]);
    else if (kind < 0.8) await connection.query('UPDATE IGNORE orders SET id = id + 1000000 WHERE id = ?', [id]);
    else if (kind < 0.95)
      await connection.query('UPDATE order_lines SET quantity = quantity + 1 WHERE order_id BETWEEN ? AND ?', [
        id,
        id + 5,
      ]);
    else await connection.query('DELETE FROM order_lines WHERE order_id = ? AND line = 2', [id]);
  }
}
