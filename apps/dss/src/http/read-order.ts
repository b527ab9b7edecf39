import { parseTableName } from '#change-events';
import { hasOneScope, ONE_SCOPE, rowScopeShape } from '#platform';
import { z } from 'zod';

/** As the state database can hold it; a UUID is one. */
const readIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9._:-]{1,36}$/, 'must be 1 to 36 letters, digits, ".", "_", ":" or "-"');

const tableSchema = z.string().transform((text, context) => {
  const name = parseTableName(text);
  if (name !== null) return name;
  context.addIssue({ code: 'custom', message: 'must be `database.table`' });
  return z.NEVER;
});

/** The body of a request for a read. */
export const readOrderSchema = z
  .strictObject({
    id: readIdSchema.optional(),
    /** Left out for all tables of the source. */
    table: tableSchema.optional(),
    ...rowScopeShape,
    reason: z.string().min(1).max(512),
  })
  .refine(hasOneScope, ONE_SCOPE)
  .refine(
    ({ table, keys, range, where }) => table !== undefined || [keys, range, where].every((one) => one === undefined),
    'takes keys, range and where together with a table',
  );
export type ReadOrderBody = z.output<typeof readOrderSchema>;

/** The header `Idempotency-Key`. */
export const idempotencyKeySchema = readIdSchema;

export const readListSchema = z.strictObject({
  state: z.enum(['open', 'all']).default('all'),
  after: readIdSchema.optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});
export type ReadListQuery = z.output<typeof readListSchema>;
