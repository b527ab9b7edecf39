import {
  type Column,
  type ColumnKind,
  type Row,
  type RowChange,
  type TableLayout,
  type TransactionInfo,
  versionPrefix,
} from '#change-events';

export function makeColumn(name: string, kind: ColumnKind, type: string, more: Partial<Column> = {}): Column {
  return { name, kind, type, unsigned: false, precision: 0, scale: 0, length: 0, charset: null, labels: [], ...more };
}

export function makeLayout(columns: readonly Column[], key: readonly number[] = [0], table = 'orders'): TableLayout {
  return { database: 'shop', table, columns, key, fingerprint: JSON.stringify([table, columns, key]) };
}

/** `id` and `note`. */
export const ordersLayout = makeLayout([makeColumn('id', 'integer', 'int'), makeColumn('note', 'text', 'varchar')]);

export function makeTransaction(number: number, lineage = 1): TransactionInfo {
  return {
    gtid: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${number}`,
    serverId: 1,
    serverUuid: '3e11fa47-71ca-11e1-9e33-c80aa9429562',
    file: 'binlog.000001',
    offset: number * 100,
    commitMicros: 1_700_000_000_000_000 + number * 1000 + 7,
    versionPrefix: versionPrefix(lineage, 'binlog.000001', number * 100),
  };
}

export interface ChangeOptions {
  readonly transaction?: TransactionInfo;
  readonly rowIndex?: number;
  readonly layout?: TableLayout;
}

export function makeChange(before: Row | null, after: Row | null, options: ChangeOptions = {}): RowChange {
  const { transaction = makeTransaction(1), rowIndex = 0, layout = ordersLayout } = options;
  const op = before === null ? 'create' : after === null ? 'delete' : 'update';
  return { op, layout, before, after, transaction, rowIndex, readSequence: 0, windowId: null };
}
