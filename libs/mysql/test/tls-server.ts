import { type Identity, MySqlCertificates, OwnServer, type TestAuthority, type TestCertificates } from '#testing';
import { TestSource } from './test-source.ts';

/** A server of a test's own whose certificate can be changed. */
export class TlsServer {
  readonly source: TestSource;
  readonly #files: MySqlCertificates;
  readonly #server: OwnServer;

  private constructor(source: TestSource, files: MySqlCertificates, server: OwnServer) {
    this.source = source;
    this.#files = files;
    this.#server = server;
  }

  static async start(name: 'mysql-primary' | 'mariadb'): Promise<TlsServer> {
    const files = await MySqlCertificates.create();
    const server = await OwnServer.start(name, files.settings);
    return new TlsServer(await TestSource.open('tls', server.url), files, server);
  }

  get authority(): TestAuthority {
    return this.#files.authority;
  }

  get certificates(): TestCertificates {
    return this.#files.made;
  }

  get port(): number {
    return this.source.connection.port;
  }

  /** For connections that are made from now on. */
  async present(identity: Identity): Promise<void> {
    await this.#files.write(identity);
    await this.source.run(this.source.isMariaDb ? 'FLUSH SSL' : 'ALTER INSTANCE RELOAD TLS');
  }

  async end(): Promise<void> {
    await this.source.close();
    await this.#server.end();
    await this.#files.delete();
  }
}
