export { type CanonicalValue, type Column, type ColumnKind, type Row, type TableLayout } from './table-layout.ts';
export { type RowChange, type RowOperation, type TableChange, type TransactionInfo } from './change.ts';
export { type Checkpoint, type Position } from './position.ts';
