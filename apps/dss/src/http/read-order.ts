import { parseTableName } from '#change-events';
import { z } from 'zod';

/** As the state database can hold it; a UUID is one. */
const readIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9._:-]{1,36}$/, 'must be 1 to 36 letters, digits, ".", "_", ":" or "-"');

const keyValueSchema = z.union([
  z.string(),
  z.boolean(),
  z
    .number()
    .refine(
      (value) => !Number.isInteger(value) || Number.isSafeInteger(value),
      'is beyond 2^53: write it as text, all digits are kept then',
    ),
]);

/** The body of a request for a read. */
export const readOrderSchema = z.strictObject({
  id: readIdSchema.optional(),
  table: z.string().transform((text, context) => {
    const name = parseTableName(text);
    if (name !== null) return name;
    context.addIssue({ code: 'custom', message: 'must be `database.table`' });
    return z.NEVER;
  }),
  /** Values in key order; left out for the whole table. */
  keys: z.array(z.array(keyValueSchema).min(1)).min(1).optional(),
  reason: z.string().min(1).max(512),
});
export type ReadOrderBody = z.output<typeof readOrderSchema>;

/** The header `Idempotency-Key`. */
export const idempotencyKeySchema = readIdSchema;

export const readListSchema = z.strictObject({
  state: z.enum(['open', 'all']).default('all'),
  before: readIdSchema.optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});
export type ReadListQuery = z.output<typeof readListSchema>;
