export { connectionOptionsFromUrl, type MySqlConnectionOptions, type TlsOptions } from './connection-options.ts';
export { toSourceError } from './mysql-errors.ts';
export { type KeyOverrides } from './layout/column-types.ts';
export { MySqlRowReader, type MySqlRowReaderOptions } from './reader/mysql-row-reader.ts';
export { ZongjiChangeSource, type ZongjiChangeSourceOptions } from './binlog/zongji-change-source.ts';
