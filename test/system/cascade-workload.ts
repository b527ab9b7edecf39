import { type Connection } from 'mysql2/promise';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from './ddl-workload.ts';

/** Every way in which a foreign key changes rows that nobody else changed. */
const TABLES = {
  customers:
    'id INT PRIMARY KEY, code VARCHAR(20) NOT NULL UNIQUE, region INT NOT NULL, branch INT NOT NULL, UNIQUE (region, branch)',
  orders:
    'id INT PRIMARY KEY, customer INT NOT NULL, n INT NOT NULL DEFAULT 0, FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE ON UPDATE CASCADE',
  order_lines:
    'order_id INT, line INT, n INT NOT NULL DEFAULT 0, PRIMARY KEY (order_id, line), FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE ON UPDATE CASCADE',
  notes:
    'id INT PRIMARY KEY, code VARCHAR(20) NULL, n INT NOT NULL DEFAULT 0, FOREIGN KEY (code) REFERENCES customers (code) ON DELETE SET NULL ON UPDATE CASCADE',
  visits:
    'id INT PRIMARY KEY, region INT NULL, branch INT NULL, n INT NOT NULL DEFAULT 0, FOREIGN KEY (region, branch) REFERENCES customers (region, branch) ON DELETE CASCADE ON UPDATE SET NULL',
  staff:
    'id INT PRIMARY KEY, boss INT NULL, n INT NOT NULL DEFAULT 0, FOREIGN KEY (boss) REFERENCES staff (id) ON DELETE CASCADE',
} as const;

export const cascadeTables = Object.keys(TABLES);

/** Random changes of parents and children, each worker over a connection of its own. */
export class CascadeWorkload {
  changes = 0;
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  static async createTables(connection: Connection): Promise<void> {
    for (const [table, definition] of Object.entries(TABLES))
      await connection.query(`CREATE TABLE ${table} (${definition})`);
  }

  async run(connection: Connection, signal: AbortSignal): Promise<void> {
    const random = this.#random;
    while (!signal.aborted) {
      await connection.query('BEGIN');
      for (let i = random.below(4); i >= 0; i--) await this.#change(connection);
      await connection.query(random.below(10) === 0 ? 'ROLLBACK' : 'COMMIT').catch(() => undefined);
      await sleep(random.below(6));
    }
  }

  async #change(connection: Connection): Promise<void> {
    try {
      await connection.query(chooseChange(this.#random));
      this.changes++;
    } catch {
      // a row that is referred to is gone, a key is taken, or another worker was faster: nothing is logged
    }
  }
}

const CUSTOMERS = 60;

function chooseChange(from: SeededRandom): string {
  const customer = from.below(CUSTOMERS);
  const id = from.below(400);
  switch (from.below(16)) {
    case 0:
      return `DELETE FROM customers WHERE id = ${customer}`;
    case 1:
      return `UPDATE customers SET id = ${CUSTOMERS + from.below(CUSTOMERS)} WHERE id = ${customer}`;
    case 2:
      return `UPDATE customers SET code = 'code-${from.below(1000)}' WHERE id = ${customer}`;
    case 3:
      return `UPDATE customers SET branch = ${from.below(1000)} WHERE id = ${customer}`;
    case 4:
      return `UPDATE orders SET id = ${400 + from.below(400)} WHERE id = ${id}`;
    case 5:
      return `DELETE FROM staff WHERE id = ${from.below(100)}`;
    case 6:
      return `REPLACE INTO customers VALUES (${customer}, 'code-${from.below(1000)}', ${customer % 5}, ${from.below(1000)})`;
    case 7:
    case 8:
      return `INSERT INTO customers VALUES (${customer}, 'code-${from.below(1000)}', ${customer % 5}, ${customer})`;
    case 9:
    case 10:
      return `INSERT INTO orders SELECT ${id}, id, ${id} FROM customers WHERE id = ${customer}`;
    case 11:
      return `INSERT INTO order_lines SELECT id, ${from.below(3)}, ${id} FROM orders WHERE id BETWEEN ${id} AND ${id + 20}`;
    case 12:
      return `INSERT INTO notes SELECT ${id}, code, 1 FROM customers WHERE id = ${customer}`;
    case 13:
      return `INSERT INTO visits SELECT ${id}, region, branch, 1 FROM customers WHERE id = ${customer}`;
    case 14:
      return `INSERT INTO staff SELECT ${from.below(100)}, ${from.below(3) === 0 ? 'NULL' : 'MAX(id)'}, 1 FROM staff WHERE id < ${from.below(100)}`;
    default:
      return `UPDATE ${from.pick(['orders', 'order_lines', 'notes', 'visits', 'staff'])} SET n = n + 1 WHERE n % 7 = ${from.below(7)}`;
  }
}
