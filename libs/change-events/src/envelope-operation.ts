import { type RowOperation } from './change.ts';

export const OPERATION_LETTERS = {
  create: 'c',
  update: 'u',
  delete: 'd',
  read: 'r',
  truncate: 't',
  drop: 't',
} as const satisfies Readonly<Record<RowOperation | 'truncate' | 'drop', string>>;

/** What the message of a change says it is: `t` ends all rows of its table. */
export type EnvelopeOperation = (typeof OPERATION_LETTERS)[keyof typeof OPERATION_LETTERS];

const LETTERS: ReadonlySet<unknown> = new Set(Object.values(OPERATION_LETTERS));

export function isEnvelopeOperation(value: unknown): value is EnvelopeOperation {
  return LETTERS.has(value);
}
