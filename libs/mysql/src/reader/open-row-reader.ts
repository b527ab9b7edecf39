import { type MySqlConnectionOptions } from '../connection-options.ts';
import { MySqlRowReader, type MySqlRowReaderOptions } from './mysql-row-reader.ts';

export interface OpenRowReaderOptions extends Omit<MySqlRowReaderOptions, 'connection' | 'streamed'> {
  /** The server whose log is streamed. */
  readonly streamed: MySqlConnectionOptions;
  /** The server that rows are read from, where it is another one; else null. */
  readonly replica: MySqlConnectionOptions | null;
}

/** A reader of the server that a source's rows are read from; it connects with its first read. */
export function openRowReader({ streamed, replica, ...options }: OpenRowReaderOptions): MySqlRowReader {
  return replica === null
    ? new MySqlRowReader({ ...options, connection: streamed })
    : new MySqlRowReader({ ...options, connection: replica, streamed });
}
