import { type Column } from '#change-events';
import { type ServerKind } from '../server-kind.ts';

/** A longer value is shown by its digest: twice its length may be more than the server sends. */
const MOST_SHOWN_BYTES = 65_536;

/**
 * The SQL expression by which the server itself renders a value as text, NULL as NULL: the second way of a comparison,
 * which shares nothing with the codecs of the first. `name` is the quoted column.
 *
 * Numbers, times and JSON are as the server prints them; `DATETIME` with a T, `TIMESTAMP` in UTC (of the session) with a
 * Z; bytes, texts (in UTF-8), labels, geometries and vectors in hexadecimal digits, or `sha256:` and a digest; `BIT(1)` is
 * `true` or `false`, other bits are hexadecimal digits.
 */
export function serverText({ kind, length }: Column, name: string, server: ServerKind): string {
  const plain = `CAST(${name} AS CHAR)`;
  switch (kind) {
    case 'integer':
    case 'bigint':
    case 'decimal':
    case 'date':
    case 'time':
    case 'json':
      return plain;
    case 'datetime':
      return `REPLACE(${plain}, ' ', 'T')`;
    case 'timestamp':
      return `CONCAT(REPLACE(${plain}, ' ', 'T'), 'Z')`;
    case 'float':
    case 'double':
      return doubleText(`CAST(${name} AS DOUBLE)`, server);
    case 'boolean':
      return `CASE CAST(${name} AS UNSIGNED) WHEN 1 THEN 'true' WHEN 0 THEN 'false' END`;
    case 'bits':
      return `LPAD(HEX(CAST(${name} AS UNSIGNED)), ${2 * Math.ceil(length / 8)}, '0')`;
    case 'text':
    case 'enum':
    case 'set':
      return bytesText(`CONVERT(${name} USING utf8mb4)`);
    case 'bytes':
    case 'geometry':
    case 'vector':
      return bytesText(`CAST(${name} AS BINARY)`);
  }
}

/** All digits of a double, and so of a FLOAT: MySQL's own text of one is rounded, its JSON is not; MariaDB's is not. */
function doubleText(value: string, server: ServerKind): string {
  return server === 'mariadb' ? `CONCAT(${value})` : `CAST(CAST(${value} AS JSON) AS CHAR)`;
}

function bytesText(value: string): string {
  return `IF(OCTET_LENGTH(${value}) > ${MOST_SHOWN_BYTES}, CONCAT('sha256:', SHA2(${value}, 256)), HEX(${value}))`;
}
