/** An assignment of a SET statement that servers know from a version on: `80013`, `100500` (MariaDB 10.5). */
type SettingSince = readonly [version: number, assignment: string];

/** On every server that Ditto reads. */
const EVERYWHERE: readonly string[] = [
  // also against skip-character-set-client-handshake; the collation is named because its default can be set too
  'NAMES utf8mb4 COLLATE utf8mb4_general_ci',
  // errors of the log are distinguished by their text
  "lc_messages = 'en_US'",
  "sql_mode = ''",
  "time_zone = '+00:00'",
  // ends a transaction that somebody began; none begins by itself, and COMMIT neither begins one nor disconnects
  'autocommit = 1',
  'completion_type = 0',
  'sql_auto_is_null = 0',
  'sql_select_limit = 18446744073709551615',
  'sql_big_selects = 1',
  'sql_safe_updates = 0',
  'group_concat_max_len = 1048576',
  'div_precision_increment = 4',
  // keys that differ only after it are equal to ORDER BY, and chunks would lose rows: the longest key has 3,072 bytes,
  // in general two bytes of sort key for each
  'max_sort_length = 8192',
  // room for the sort keys of a chunk of 2,000 rows, which a server without it writes to disk, or refuses (1038)
  'sort_buffer_size = 16777216',
  // without it SHOW GRANTS and SHOW CREATE TABLE leave the quotes out
  'sql_quote_show_create = 1',
  // how long a read waits for the end of a statement that changes the table; MySQL's default is a year
  'lock_wait_timeout = 60',
  // an idle session is closed by the server in the end, also when this process has vanished with a transaction open
  'wait_timeout = 600',
  'net_read_timeout = 60',
  'net_write_timeout = 60',
];

const MYSQL: readonly SettingSince[] = [
  [80001, "transaction_isolation = 'READ-COMMITTED'"],
  [80001, 'transaction_read_only = 0'],
  [80001, 'max_execution_time = 0'],
  [80001, 'parser_max_mem_size = 18446744073709551615'],
  // a secondary engine gets changes later than InnoDB
  [80013, 'use_secondary_engine = OFF'],
  [80030, 'show_gipk_in_create_table_and_information_schema = ON'],
];

/** `transaction_isolation` is there from 11.1 on; `tx_isolation` has the same meaning. */
const MARIADB: readonly SettingSince[] = [
  [100500, "tx_isolation = 'READ-COMMITTED'"],
  [100500, 'tx_read_only = 0'],
  [100500, 'max_statement_time = 0'],
  [100500, 'max_session_mem_used = 9223372036854775807'],
  [100500, 'tmp_disk_table_size = 18446744073709551615'],
  [100500, 'idle_transaction_timeout = 0'],
  [100500, 'idle_readonly_transaction_timeout = 0'],
  [100500, 'query_cache_type = OFF'],
  [100500, 'in_predicate_conversion_threshold = 0'],
  [100500, "old_mode = ''"],
];

/**
 * The statement that every session of Ditto's at a source begins with, for both kinds of server and all versions. A
 * session inherits what globals, limits of the user and `init_connect` say; this sets all that a read's result depends on,
 * that cuts it, or that lets it fail. The lists were made from all session variables of both manuals. Left out are those
 * that only writes and DDL use, those that only cost time, those that a user without privileges may not set
 * (`connection_memory_limit`), and `system_versioning_asof`, for which a session has no way back (such tables are refused).
 *
 * @param more further assignments; they win over the ones above
 */
export function sessionStatement(more: readonly string[] = []): string {
  return [
    `SET ${EVERYWHERE.join(', ')}`,
    ...MYSQL.map(([version, assignment]) => `/*!${version} , ${assignment} */`),
    // MySQL reads it as a comment, as MariaDB does the one above
    ...MARIADB.map(([version, assignment]) => `/*M!${version} , ${assignment} */`),
    ...more.map((assignment) => `, ${assignment}`),
  ].join(' ');
}
