import { type Connection } from 'mysql2/promise';
import { setTimeout as sleep } from 'node:timers/promises';

/** Rows with a text as key, and values of types that the other tables lack. */
export const READINGS = 'readings';

export async function createReadings(connection: Connection): Promise<void> {
  await connection.query(`CREATE TABLE ${READINGS} (
    code VARCHAR(24) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, at TIMESTAMP(6) NOT NULL, took TIME(6) NOT NULL,
    amount DECIMAL(18,6) NOT NULL, ratio DOUBLE NOT NULL, raw BINARY(9) NOT NULL, flags SET('a','b','c') NOT NULL,
    good BIT(1) NOT NULL, doc JSON NULL)`);
}

export async function fillReadings(connection: Connection, from: number, count: number): Promise<void> {
  for (let first = from; first < from + count; first += 1000) {
    const numbers = Array.from({ length: Math.min(1000, from + count - first) }, (_, index) => first + index);
    await connection.query(
      `INSERT INTO ${READINGS} VALUES ${numbers.map((n) => `('code ${n}', NOW(6), '-01:02:03.000${100 + (n % 900)}', ${n}.000001, ${n}.5, UNHEX(LPAD(HEX(${n}), 18, '0f')), 'a,c', b'${n % 2}', '{"n": ${n}, "list": [1.5, "x", true], "at": "${n}"}')`).join(',')}`,
    );
  }
}

/** Changes one reading after the other until stopped: updates, and deletes after which the row comes again. */
export class ReadingsWriter {
  changes = 0;
  #isStopped = false;
  readonly #work: Promise<void>;

  constructor(connection: Connection, options: { readonly rows: number; readonly pauseMs: number }) {
    this.#work = this.#run(connection, options.rows, options.pauseMs);
    this.#work.catch(() => undefined); // reported by stop()
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#work;
  }

  async #run(connection: Connection, rows: number, pauseMs: number): Promise<void> {
    for (; !this.#isStopped; this.changes++) {
      const n = 1 + Math.floor(Math.random() * rows);
      if (this.changes % 10 > 0)
        await connection.query(`UPDATE ${READINGS} SET ratio = ratio + 1, at = NOW(6) WHERE code = ?`, [`code ${n}`]);
      else {
        await connection.query(`DELETE FROM ${READINGS} WHERE code = ?`, [`code ${n}`]);
        if (this.changes % 20 > 0) await fillReadings(connection, n, 1);
      }
      await sleep(pauseMs);
    }
  }
}
