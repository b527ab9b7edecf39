/** Lines for people about one part of the work, with its seconds. */
export class Progress {
  readonly #write: (line: string) => void;
  readonly #part: string;
  readonly #began = performance.now();

  constructor(part: string, write: (line: string) => void) {
    this.#part = part;
    this.#write = write;
  }

  line(text: string): void {
    this.#write(`${this.#part}: ${text}`);
  }

  seconds(): string {
    return `${((performance.now() - this.#began) / 1000).toFixed(1)} s`;
  }

  /** Writes what `describe` says every few seconds while `work` runs. */
  async watch<T>(describe: () => string, work: Promise<T>): Promise<T> {
    const timer = setInterval(() => {
      this.line(`${describe()} (${this.seconds()})`);
    }, 5_000);
    try {
      return await work;
    } finally {
      clearInterval(timer);
    }
  }
}

export function formatMegabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
