import { DittoError } from './ditto-error.ts';
import { classifyTlsFailure, isTlsCode, tlsRemedy } from './tls-failure.ts';
import { findTlsMaterialProblem, type TlsMaterial } from './tls-material.ts';

export interface TlsErrorsOptions {
  readonly code: string;
  /** Begins the messages, as `Redis`. */
  readonly server: string;
  /** Where TLS is configured, as `redis.tls`. */
  readonly option: string;
}

/** The refusals of encrypted connections to one kind of server, with their remedies. */
export class TlsErrors {
  readonly #options: TlsErrorsOptions;

  constructor(options: TlsErrorsOptions) {
    this.#options = options;
  }

  /** Null for what is not an error of TLS, and for a connection that was lost while TLS was being set up. */
  classify(error: unknown): DittoError | null {
    const remedy = this.findRemedy(error);
    if (remedy === null) return null;
    return this.refuse(`can not be reached by TLS: ${(error as Error).message}`, remedy, error);
  }

  /** Null where `classify` gives null. */
  findRemedy(error: unknown): string | null {
    const { code = '', message = '' } = (error ?? {}) as { readonly code?: unknown; readonly message?: unknown };
    if (typeof code !== 'string' || !isTlsCode(code)) return null;
    const failure = classifyTlsFailure(code, String(message));
    return failure === 'lost' ? null : tlsRemedy(failure, this.#options.option);
  }

  /** Throws, not to be tried again, for texts that are not certificates or keys, or do not belong together. */
  assertUsable(material: TlsMaterial): void {
    const found = findTlsMaterialProblem(material);
    if (found === null) return;
    const { code, option, server } = this.#options;
    throw new DittoError(code, `${server} is not connected to: ${option}.${found.option} ${found.problem}`, {
      remedy: found.remedy,
    });
  }

  /** Tried again: the next certificate of the server may be right. */
  refuse(what: string, remedy: string, cause?: unknown): DittoError {
    const { code, server } = this.#options;
    return new DittoError(code, `${server} ${what}`, { retriable: true, remedy, cause });
  }
}
