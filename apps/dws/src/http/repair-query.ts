import { parseTableName } from '#change-events';
import { z } from 'zod';

const STATES = ['planned', 'reading', 'verifying', 'failed', 'repaired', 'given up'] as const;

const tableSchema = z.string().transform((text, context) => {
  const name = parseTableName(text);
  if (name !== null) return name;
  context.addIssue({ code: 'custom', message: 'must be `database.table`' });
  return z.NEVER;
});
const idSchema = z.string().regex(/^\d{1,19}$/, 'must be a number');

export const repairQuerySchema = z.strictObject({
  source: z.string().min(1).optional(),
  table: tableSchema.optional(),
  sink: z.string().min(1).optional(),
  state: z.enum(STATES).optional(),
  mismatch: idSchema.optional(),
  after: idSchema.optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});
export type RepairQuery = z.output<typeof repairQuerySchema>;

export const resumeSchema = z.strictObject({ source: z.string().min(1), table: tableSchema });
export type ResumeOrder = z.output<typeof resumeSchema>;
