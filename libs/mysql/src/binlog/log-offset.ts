const WRAP = 0x100000000;

/**
 * Follows the offset in one log file. Event headers carry 32 bits of it, a file can be longer: a header that goes
 * back means that 4 GiB were passed. Rotate events and version 2 heartbeats carry all 64 bits and set it right.
 */
export class LogOffset {
  /** The file that it counts in. */
  file = '';
  #end = 4;

  /** Offset just after the last event. */
  get end(): number {
    return this.#end;
  }

  /** `offset` in full, from a rotate event or a heartbeat. */
  reset(offset: number): void {
    this.#end = offset;
  }

  /**
   * Takes the end offset of the header of an event of `size` bytes. 0 changes nothing, it is the offset of an event
   * that is in no file, but where the event ends at a multiple of 4 GiB.
   */
  advance(header: number, size: number): void {
    if (header === 0 && (this.#end + size) % WRAP !== 0) return;
    const high = Math.floor(this.#end / WRAP) * WRAP;
    const offset = high + header;
    this.#end = offset < this.#end ? offset + WRAP : offset;
  }
}
