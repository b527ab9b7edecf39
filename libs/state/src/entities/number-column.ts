import { type ValueTransformer } from 'typeorm';

/** BIGINT columns that hold tokens, counts and times: far below 2^53, so a number in code. */
export const asNumber: ValueTransformer = {
  to: (value: unknown) => value,
  from: (value: unknown) => (value === null ? null : Number(value)),
};
