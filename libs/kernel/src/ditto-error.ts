export interface DittoErrorOptions {
  /** Whether the same call may succeed later without anybody's help. */
  readonly retriable?: boolean;
  /** What a person should do, as a sentence. */
  readonly remedy?: string;
  readonly context?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** An error with a stable, documented code: `DITTO_<AREA>_<NAME>`. Retry loops read `retriable`, never the message. */
export class DittoError extends Error {
  readonly code: string;
  readonly retriable: boolean;
  readonly remedy: string | null;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, options: DittoErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'DittoError';
    this.code = code;
    this.retriable = options.retriable ?? false;
    this.remedy = options.remedy ?? null;
    this.context = options.context ?? {};
  }
}
