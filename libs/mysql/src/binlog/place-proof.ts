import { DittoError } from '#kernel';
import { FIRST_OFFSET } from './dump-commands.ts';
import { type LogOffset } from './log-offset.ts';
import { makeStop } from './stream-stops.ts';

export interface FilePlace {
  readonly file: string;
  readonly offset: number;
}

/** What a server or a reader says of bytes that are read as an event where none begins. */
export const SIGNS_OF_NO_EVENT: ReadonlySet<string> = new Set([
  'DITTO_SOURCE_LOG_UNREADABLE',
  'DITTO_SOURCE_EVENT_TOO_LARGE',
  'DITTO_SOURCE_EVENT_MALFORMED',
  'DITTO_SOURCE_EVENT_UNKNOWN',
  'DITTO_SOURCE_CHECKSUM_MISMATCH',
  'DITTO_SOURCE_PLACE_INVALID',
]);

/**
 * Holds a dump against the place that its stream is to start at. A server takes any offset up to the end of a file, and
 * sends what it finds there as an event (`send_binlog` in `sql/rpl_binlog_sender.cc`): the place is proven by an event
 * whose own header says that it begins there, or by the end of the file. The dump may begin before the place, at the
 * head of its file; then what lies between is passed over.
 */
export class PlaceProof {
  readonly #place: FilePlace;
  readonly #dumpOffset: number;
  #isProven: boolean;

  constructor({ file, offset }: FilePlace, dumpOffset = offset) {
    this.#place = { file, offset };
    this.#dumpOffset = dumpOffset;
    this.#isProven = offset === FIRST_OFFSET;
  }

  get isProven(): boolean {
    return this.#isProven;
  }

  /**
   * Whether the event of `size` bytes that ends where the log is now is at the place, which is proven then, or before
   * it.
   */
  reaches(log: LogOffset, size: number): boolean {
    const { offset } = this.#place;
    const begin = log.end - size;
    if (begin === offset) {
      this.#isProven = true;
      return true;
    }
    if (this.#dumpOffset <= begin && log.end <= offset) return false;
    throw this.refuse(`the event there says that it lies from ${begin} to ${log.end}`);
  }

  /** The dump continues in `file`, before `log` does. */
  enter(file: string, log: LogOffset): void {
    if (file === this.#place.file) return;
    if (log.file !== this.#place.file || log.end !== this.#place.offset) throw this.refuse('the file ends before');
    this.#isProven = true;
  }

  /** The server has sent all that its log holds. */
  assertNotBehind(log: LogOffset): void {
    if (log.end < this.#place.offset) throw this.refuse(`the log ends at ${log.end}`);
  }

  refuse(detail: string, cause?: unknown): DittoError {
    return makeStop('DITTO_SOURCE_PLACE_INVALID', { ...this.#place, gtid: null }, detail, cause);
  }

  /** An error of the time before the place is proven, which may be the only sign that nothing begins there. */
  explain(error: Error): Error {
    if (this.#isProven) return error;
    if (!(error instanceof DittoError)) return this.refuse(error.message, error);
    const isExplained = error.code === 'DITTO_SOURCE_PLACE_INVALID' && 'file' in error.context;
    return isExplained || !SIGNS_OF_NO_EVENT.has(error.code) ? error : this.refuse(error.message, error);
  }
}
