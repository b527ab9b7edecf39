import { type ConnectionOptions } from 'node:tls';
import { ClientTCP } from '@nestjs/microservices';
import { firstValueFrom, timeout } from 'rxjs';

export interface DcsEndpointOptions {
  readonly host: string;
  readonly port: number;
  /** TLS is used when given. */
  readonly tls?: ConnectionOptions | undefined;
}

/** Nest's client ends its side of a connection only, which then stays for as long as a silent peer does. */
class DroppingClient extends ClientTCP {
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

  constructor(options: DcsEndpointOptions) {
    this.name = `${options.host}:${options.port}`;
    this.#options = options;
  }

  isMarkedDown(nowMs: number): boolean {
    return nowMs < this.#downUntilMs;
  }

  /** The connection is let go of too: a call that is lost in it must not hold up the next one. */
  markDown(untilMs: number): void {
    this.#downUntilMs = untilMs;
    this.close();
  }

  markUp(): void {
    this.#downUntilMs = 0;
  }

  /** Rejects with what the instance answered, or with an error of the connection, or a time-out. */
  async call(pattern: string, message: object, timeoutMs: number): Promise<unknown> {
    const { host, port, tls } = this.#options;
    this.#client ??= new DroppingClient({ host, port, ...(tls && { tlsOptions: tls }) });
    return firstValueFrom(this.#client.send<unknown>(pattern, message).pipe(timeout(timeoutMs)));
  }

  close(): void {
    const client = this.#client;
    this.#client = null;
    client?.close();
  }
}
