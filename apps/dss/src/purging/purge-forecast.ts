import { binlogFileNumber, type Checkpoint, GtidSet } from '#change-events';
import { type LogRetention } from '#mysql';

/** When the server may remove what was not read of its log. */
export interface PurgeForecast {
  /** Milliseconds until that at the earliest; null while there is nothing that may be removed. 0: at any moment. */
  readonly leftMs: number | null;
  /** Bytes of the log that are not covered by the checkpoint. */
  readonly behindBytes: number;
  /** By which the log grows. */
  readonly bytesPerSecond: number;
  /** How long files are kept; null where age removes none. */
  readonly keptForMs: number | null;
  /** How many bytes of files are kept; null where size removes none. */
  readonly keptBytes: number | null;
}

interface Sample {
  readonly atMs: number;
  readonly written: number;
}

/** So long the rate of writing is taken over. */
const RATE_MS = 600_000;

/**
 * Forecasts, look by look, when the part of the log that is needed is removed. By age: what comes after the checkpoint was
 * committed after its last transaction, and a file is removed when its last transaction is old enough, so not before that
 * age of the checkpoint. By size: when as much is written as fits beside the needed files.
 */
export class PurgeForecaster {
  #serverUuid = '';
  #samples: Sample[] = [];

  /** Null where the server that answers is not the one of the checkpoint: its log says nothing. */
  look(retention: LogRetention, checkpoint: Checkpoint): PurgeForecast | null {
    const { files, keptForMs, keptBytes, atMs } = retention;
    const { position, commitMicros, savedAtMs } = checkpoint;
    if (retention.serverUuid !== position.serverUuid) return null;
    const bytesPerSecond = this.#rate(retention);
    const isCaughtUp = GtidSet.parse(position.gtidSet).contains(GtidSet.parse(retention.gtidExecuted));
    const needed = files.findIndex(({ name }) => binlogFileNumber(name) >= binlogFileNumber(position.file));
    const from = position.file === '' || needed < 0 ? files : files.slice(needed);
    const neededBytes = sum(from);
    const isInFirst = from[0]?.name === position.file;
    const behindBytes = isCaughtUp ? 0 : Math.max(0, neededBytes - (isInFirst ? position.offset : 0));
    const common = { behindBytes, bytesPerSecond, keptForMs, keptBytes };
    if (isCaughtUp) return { leftMs: null, ...common };
    const committedMs = commitMicros > 0 ? commitMicros / 1000 : savedAtMs;
    const byAge = keptForMs === null ? Infinity : committedMs + keptForMs - atMs;
    // of a source that has just moved there the file is not known yet, and so not how much of the log is needed
    const room = keptBytes === null || position.file === '' ? Infinity : keptBytes - neededBytes;
    const bySize = room <= 0 ? 0 : bytesPerSecond > 0 ? (room / bytesPerSecond) * 1000 : Infinity;
    const leftMs = Math.max(0, Math.min(byAge, bySize));
    return { leftMs: leftMs === Infinity ? null : leftMs, ...common };
  }

  /** Files that are removed or added do not change how much was written: numbers of files only grow. */
  #rate({ serverUuid, files, atMs }: LogRetention): number {
    if (serverUuid !== this.#serverUuid) this.#samples = [];
    this.#serverUuid = serverUuid;
    const last = this.#samples.at(-1);
    this.#samples.push({ atMs, written: (last?.written ?? 0) + this.#grown(files) });
    while (this.#samples.length > 2 && atMs - (this.#samples[1]?.atMs ?? atMs) >= RATE_MS) this.#samples.shift();
    const [oldest] = this.#samples;
    const newest = this.#samples.at(-1);
    if (oldest === undefined || newest === undefined || newest.atMs <= oldest.atMs) return 0;
    return ((newest.written - oldest.written) * 1000) / (newest.atMs - oldest.atMs);
  }

  #end: { readonly file: number; readonly bytes: number } | null = null;

  /** Bytes that were written since the last look. */
  #grown(files: LogRetention['files']): number {
    const end = this.#end;
    const last = files.at(-1);
    if (last === undefined) return 0;
    this.#end = { file: binlogFileNumber(last.name), bytes: last.bytes };
    if (end === null || this.#samples.length === 0) return 0;
    const since = files.filter(({ name }) => binlogFileNumber(name) >= end.file);
    const known = since.some(({ name }) => binlogFileNumber(name) === end.file) ? end.bytes : 0;
    return Math.max(0, sum(since) - known);
  }
}

function sum(files: LogRetention['files']): number {
  return files.reduce((bytes, file) => bytes + file.bytes, 0);
}
