import { lengthEncodedSize, readLengthEncoded } from '../binlog/event-header.ts';
import { JsonDocument } from './json-document.ts';
import { parseJsonPath } from './json-path.ts';

/** A partial update that its document does not admit: the document is another one than it was made for. */
export class JsonDiffError extends Error {
  constructor(message: string) {
    super(`a partial update of a JSON document: ${message}`);
  }
}

/** Operations of a diff (MySQL source, `sql-common/json_diff.h`, enum_json_diff_operation). */
const Operation = { replace: 0, insert: 1, remove: 2 } as const;

/**
 * The canonical text of a document after the diffs in `bytes` from `start` to `end`: operation 1, length-encoded path,
 * and unless it removes a length-encoded binary value (MySQL source, `sql-common/json_diff.cc`, read_json_diff and
 * apply_json_diff). A place that a diff needs and the document lacks is an error, as it is on a replica.
 */
export function patchedJsonText(document: Buffer, bytes: Buffer, start: number, end: number): string {
  const patched = new JsonDocument(document);
  let at = start;
  const readField = (): Buffer => {
    const length = readLengthEncoded(bytes, at);
    const from = at + lengthEncodedSize(bytes, at);
    at = from + length;
    if (at > end) throw new RangeError('a JSON diff is cut off');
    return bytes.subarray(from, at);
  };
  while (at < end) {
    const operation = bytes.readUInt8(at++);
    const path = readField().toString('utf8');
    if (!applyDiff(patched, operation, path, operation === Operation.remove ? null : readField()))
      throw new JsonDiffError(`it does not fit the before image at ${path}`);
  }
  return patched.text();
}

function applyDiff(document: JsonDocument, operation: number, path: string, value: Buffer | null): boolean {
  const legs = parseJsonPath(path);
  if (value === null) return document.remove(legs);
  if (operation === Operation.replace) return document.replace(legs, value);
  if (operation === Operation.insert) return document.insert(legs, value);
  throw new RangeError(`unknown operation ${operation} in a JSON diff`);
}
