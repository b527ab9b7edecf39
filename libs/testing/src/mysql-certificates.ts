import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Identity,
  makeTestCertificates,
  TestAuthority,
  type TestCertificates,
  writeIdentity,
} from './certificates.ts';

/** The files with the certificate and the authority of a MySQL or MariaDB server of a test's own. */
export class MySqlCertificates {
  readonly authority: TestAuthority;
  readonly made: TestCertificates;
  readonly #folder: string;

  private constructor(authority: TestAuthority, made: TestCertificates, folder: string) {
    this.authority = authority;
    this.made = made;
    this.#folder = folder;
  }

  static async create(): Promise<MySqlCertificates> {
    const authority = await TestAuthority.create();
    const made = await makeTestCertificates(['localhost', '127.0.0.1'], 'ditto', authority);
    const certificates = new MySqlCertificates(authority, made, await mkdtemp(join(tmpdir(), 'ditto-tls-')));
    await certificates.write(made.server);
    return certificates;
  }

  /** For the option file of the server. */
  get settings(): string {
    const file = (name: string): string => join(this.#folder, name);
    return `[mysqld]\nssl_ca = ${file('ca.pem')}\nssl_cert = ${file('used.pem')}\nssl_key = ${file('used-key.pem')}\n`;
  }

  /** The server uses them after it was asked to reload. MySQL, unlike MariaDB, takes only what it can verify itself. */
  async write(identity: Identity): Promise<void> {
    await writeIdentity(this.#folder, 'used', identity);
    const authority = identity === this.made.foreign ? this.made.foreignCa : this.made.ca;
    await writeFile(join(this.#folder, 'ca.pem'), authority);
  }

  async delete(): Promise<void> {
    await rm(this.#folder, { recursive: true });
  }
}
