import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Identity, makeTestCertificates, TestAuthority, type TestCertificates, writeIdentity } from '#testing';
import { OwnServer } from './own-server.ts';
import { TestSource } from './test-source.ts';

/** A server of a test's own whose certificate can be changed. */
export class TlsServer {
  readonly authority: TestAuthority;
  readonly certificates: TestCertificates;
  readonly source: TestSource;
  readonly #server: OwnServer;
  readonly #folder: string;

  private constructor(
    authority: TestAuthority,
    certificates: TestCertificates,
    source: TestSource,
    server: OwnServer,
    folder: string,
  ) {
    this.authority = authority;
    this.certificates = certificates;
    this.source = source;
    this.#server = server;
    this.#folder = folder;
  }

  static async start(name: 'mysql-primary' | 'mariadb'): Promise<TlsServer> {
    const authority = await TestAuthority.create();
    const certificates = await makeTestCertificates(['localhost', '127.0.0.1'], 'ditto', authority);
    const folder = await mkdtemp(join(tmpdir(), 'ditto-tls-'));
    const { cert, key } = await writeIdentity(folder, 'used', certificates.server);
    await writeFile(join(folder, 'ca.pem'), certificates.ca);
    const settings = `[mysqld]\nssl_ca = ${join(folder, 'ca.pem')}\nssl_cert = ${cert}\nssl_key = ${key}\n`;
    const server = await OwnServer.start(name, settings);
    return new TlsServer(authority, certificates, await TestSource.open('tls', server.url), server, folder);
  }

  get port(): number {
    return this.source.connection.port;
  }

  /** For connections that are made from now on. */
  async present(identity: Identity): Promise<void> {
    await writeIdentity(this.#folder, 'used', identity);
    if (this.source.isMariaDb) return this.source.run('FLUSH SSL');
    // MySQL takes only what it can verify itself
    const authority = identity === this.certificates.foreign ? this.certificates.foreignCa : this.certificates.ca;
    await writeFile(join(this.#folder, 'ca.pem'), authority);
    await this.source.run('ALTER INSTANCE RELOAD TLS');
  }

  async end(): Promise<void> {
    await this.source.close();
    await this.#server.end();
    await rm(this.#folder, { recursive: true });
  }
}
