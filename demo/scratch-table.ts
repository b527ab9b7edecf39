import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { findReason, DittoError } from '#kernel';

export const SCRATCH_TABLE = 'ditto_selftest';
export const SCRATCH_ROWS = 200;

export interface ScratchServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly tls: false | (object & { readonly rejectUnauthorized?: boolean });
}

/** A table of its own in a schema that somebody has named. It never takes the place of one that is there. */
export class ScratchTable {
  readonly #connection: Connection;
  readonly #name: string;
  readonly #schema: string;
  readonly #user: string;

  private constructor(connection: Connection, schema: string, user: string) {
    this.#connection = connection;
    this.#schema = schema;
    this.#name = `\`${schema.replaceAll('`', '``')}\`.\`${SCRATCH_TABLE}\``;
    this.#user = user;
  }

  static async open({ host, port, user, password, tls }: ScratchServer, schema: string): Promise<ScratchTable> {
    const ssl = tls === false ? {} : { ssl: { ...tls, verifyIdentity: tls.rejectUnauthorized !== false } };
    const login = { host, port, user, password, ...ssl };
    try {
      const connection = await createConnection({ ...login, charset: 'utf8mb4', timezone: 'Z' });
      connection.on('error', () => undefined);
      return new ScratchTable(connection, schema, user);
    } catch (cause) {
      throw untried(
        `${host}:${port} can not be reached: ${findReason(cause)}`,
        'Check the endpoints of the source.',
        cause,
      );
    }
  }

  async create(): Promise<void> {
    await this.#run(`CREATE TABLE ${this.#name} (
      id INT PRIMARY KEY, name VARCHAR(60) NOT NULL, amount DECIMAL(12,2) NOT NULL, placed DATETIME(6) NOT NULL,
      stamp TIMESTAMP(3) NULL, ratio DOUBLE NOT NULL, payload VARBINARY(40) NULL, status ENUM('new','paid','sent') NOT NULL,
      extra JSON NULL
    ) COMMENT 'made by ditto selftest'`);
  }

  /** Half of the rows are changed once, so that they have an older version. */
  async fill(): Promise<void> {
    const row = (id: number): string =>
      `(${id}, 'scratch row ${id}', ${id}.25, '2026-02-03 04:05:06.${String(id).padStart(6, '0')}',
        '2026-02-03 04:05:06.007', ${id}.5, X'00ff${id.toString(16).padStart(4, '0')}', 'new', '{"id": ${id}}')`;
    const rows = Array.from({ length: SCRATCH_ROWS }, (_, i) => row(i + 1));
    await this.#run(`INSERT INTO ${this.#name} VALUES ${rows.join(', ')}`);
    await this.#run(`UPDATE ${this.#name} SET status = 'paid', name = CONCAT(name, ' paid') WHERE id % 2 = 0`);
  }

  async drop(): Promise<void> {
    await this.#connection.query(`DROP TABLE IF EXISTS ${this.#name}`);
  }

  close(): void {
    this.#connection.destroy();
  }

  async #run(statement: string): Promise<void> {
    try {
      await this.#connection.query<RowDataPacket[]>(statement);
    } catch (cause) {
      const { errno, message } = cause as { errno?: number; message: string };
      throw untried(`the table ${SCRATCH_TABLE} can not be made: ${message}`, this.#remedyOf(errno), cause);
    }
  }

  #remedyOf(errno = 0): string {
    const schema = `\`${this.#schema}\``;
    switch (errno) {
      case 1050: // ER_TABLE_EXISTS_ERROR
        return `Another self-test is under way, or one was killed. If so: DROP TABLE ${this.#name};`;
      case 1049: // ER_BAD_DB_ERROR
        return `CREATE DATABASE ${schema};`;
      case 1044: // ER_DBACCESS_DENIED_ERROR
      case 1142: // ER_TABLEACCESS_DENIED_ERROR
        return `GRANT SELECT, CREATE, DROP, INSERT, UPDATE ON ${schema}.* TO the user ${this.#user} of the source; and revoke it after.`;
      default:
        return 'The self-test writes to the server whose log is streamed: it must not be read-only.';
    }
  }
}

/** Why nothing is known of what the self-test is to show. */
export function untried(message: string, remedy: string, cause?: unknown): DittoError {
  return new DittoError('DITTO_SELFTEST_UNTRIED', message, { remedy, cause });
}
