import { ClientTCP } from '@nestjs/microservices';
import { firstValueFrom, timeout } from 'rxjs';
import { type ClientTls, expectTlsPeer, TlsErrors } from '#kernel';

export interface DcsEndpointOptions {
  readonly host: string;
  readonly port: number;
  /** TLS is used when given. */
  readonly tls?: ClientTls | undefined;
}

const tlsErrors = new TlsErrors({ code: 'DITTO_DCS_TLS_FAILED', server: 'DCS', option: 'dcs.tls' });

/** Nest's client ends its side of a connection only, which then stays for as long as a silent peer does. */
class DroppingClient extends ClientTCP {
  /** Of the newest connection: its calls learn only that it is closed. */
  connectionError: unknown = null;

  override createSocket() {
    this.connectionError = null;
    return super.createSocket();
  }

  /** Whoever calls reports it; Nest would log it too. */
  override handleError(error: unknown): void {
    this.connectionError = error;
  }

  override close(): void {
    const { socket } = this;
    super.close();
    socket?.netSocket.destroy();
  }
}

/** One DCS instance. It connects at the first call and again after each loss. */
export class DcsEndpoint {
  readonly name: string;
  readonly #options: DcsEndpointOptions;
  #client: DroppingClient | null = null;
  #downUntilMs = 0;

  /** Throws `DITTO_DCS_TLS_FAILED` for texts that are not certificates or keys. */
  constructor(options: DcsEndpointOptions) {
    this.name = `${options.host}:${options.port}`;
    this.#options = options;
    if (options.tls) tlsErrors.assertUsable(options.tls);
  }

  isMarkedDown(nowMs: number): boolean {
    return nowMs < this.#downUntilMs;
  }

  /** The connection is closed too: a call that is lost in it must not hold up the next one. */
  markDown(untilMs: number): void {
    this.#downUntilMs = untilMs;
    this.close();
  }

  markUp(): void {
    this.#downUntilMs = 0;
  }

  /**
   * Rejects with what the instance answered, with `DITTO_DCS_TLS_FAILED`, with another error of the connection, or with a
   * time-out.
   */
  async call(pattern: string, message: object, timeoutMs: number): Promise<unknown> {
    const client = (this.#client ??= this.#createClient());
    try {
      return await firstValueFrom(client.send<unknown>(pattern, message).pipe(timeout(timeoutMs)));
    } catch (error) {
      throw tlsErrors.classify(client.connectionError) ?? error;
    }
  }

  close(): void {
    const client = this.#client;
    this.#client = null;
    client?.close();
  }

  #createClient(): DroppingClient {
    const { host, port, tls } = this.#options;
    if (!tls) return new DroppingClient({ host, port });
    const { servername, rejectUnauthorized = true, ...material } = tls;
    return new DroppingClient({
      host,
      port,
      tlsOptions: { ...material, rejectUnauthorized, ...expectTlsPeer(host, servername) },
    });
  }
}
