import { Deferred } from './deferred.ts';
import { reasonOf } from './sleep.ts';

/** Open or shut; who waits continues when it opens. Waiters that were let through stay through when it is shut again. */
export class Gate {
  #opening: Deferred<undefined> | null = null;

  constructor(options: { readonly open: boolean } = { open: true }) {
    if (!options.open) this.shut();
  }

  get isOpen(): boolean {
    return this.#opening === null;
  }

  open(): void {
    this.#opening?.resolve(undefined);
    this.#opening = null;
  }

  shut(): void {
    this.#opening ??= new Deferred();
  }

  /** Resolves when the gate is open; rejects with the signal's reason when that is aborted first. */
  async pass(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw reasonOf(signal);
    if (this.#opening === null) return;
    if (signal === undefined) return this.#opening.promise;
    const aborted = new Deferred<never>();
    const abort = () => aborted.reject(reasonOf(signal));
    signal.addEventListener('abort', abort, { once: true });
    try {
      await Promise.race([this.#opening.promise, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }
}
