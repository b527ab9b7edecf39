/**
 * Rows above this size are not read, from the log or from their table: a document of MongoDB has 16 MiB at most, a request
 * to a Kafka broker 100 MiB unless the broker says otherwise.
 */
export const DEFAULT_ROW_BYTES = 128 * 1024 * 1024;
