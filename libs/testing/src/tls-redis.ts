import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import {
  type Identity,
  makeTestCertificates,
  TestAuthority,
  type TestCertificates,
  writeIdentity,
  writeTestCertificates,
} from './certificates.ts';
import { OwnServer } from './own-server.ts';

/** A Redis of a test's own that takes TLS on a second port; its certificate, its demands and its users can be changed. */
export class TlsRedis {
  readonly authority: TestAuthority;
  readonly certificates: TestCertificates;
  /** Connected without TLS. */
  readonly administrator: Redis;
  readonly plainUrl: string;
  readonly port: number;
  readonly #server: OwnServer;
  readonly #folder: string;

  private constructor(
    authority: TestAuthority,
    certificates: TestCertificates,
    port: number,
    server: OwnServer,
    folder: string,
  ) {
    this.authority = authority;
    this.certificates = certificates;
    this.administrator = new Redis(server.url);
    this.plainUrl = server.url;
    this.port = port;
    this.#server = server;
    this.#folder = folder;
  }

  static async start(): Promise<TlsRedis> {
    const authority = await TestAuthority.create();
    const certificates = await makeTestCertificates(['localhost', '127.0.0.1'], 'ditto', authority);
    const folder = await mkdtemp(join(tmpdir(), 'ditto-redis-tls-'));
    const { ca, server: used } = await writeTestCertificates(folder, certificates);
    const port = await findPort();
    const settings = `tls-port ${port}\ntls-ca-cert-file ${ca}\ntls-cert-file ${used.cert}\ntls-key-file ${used.key}\ntls-auth-clients no\n`;
    return new TlsRedis(authority, certificates, port, await OwnServer.start('redis', settings), folder);
  }

  url(host = '127.0.0.1', account = ''): string {
    return `redis://${account}${host}:${this.port}`;
  }

  /** For connections that are made from now on. */
  async present(identity: Identity): Promise<void> {
    const { cert, key } = await writeIdentity(this.#folder, 'used', identity);
    await this.administrator.call('CONFIG', 'SET', 'tls-cert-file', cert, 'tls-key-file', key);
  }

  async demandClientCertificate(isDemanded: boolean): Promise<void> {
    await this.administrator.call('CONFIG', 'SET', 'tls-auth-clients', isDemanded ? 'yes' : 'no');
  }

  async end(): Promise<void> {
    this.administrator.disconnect();
    await this.#server.end();
    await rm(this.#folder, { recursive: true });
  }
}

async function findPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
