import { compileJsonRowEncoder, type Row, type TableLayout } from '#change-events';
import { parseJsonExactly } from '#kernel';

/** JSON for an answer; longer ones are left out. */
export interface ShownJson {
  readonly value: unknown;
  /** Size of what was left out; else 0. */
  readonly omittedBytes: number;
}

const MOST_BYTES = 64 * 1024;

export function showJson(text: string): ShownJson {
  if (text.length > MOST_BYTES) return { value: null, omittedBytes: Buffer.byteLength(text) };
  try {
    return { value: parseJsonExactly(text), omittedBytes: 0 };
  } catch {
    return { value: text, omittedBytes: 0 };
  }
}

/** As in the messages of Kafka. */
export function showRow(layout: TableLayout, row: Row): ShownJson {
  return showJson(compileJsonRowEncoder(layout)(row));
}
