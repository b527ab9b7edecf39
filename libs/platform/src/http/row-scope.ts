import { z } from 'zod';

/** Most values of one `in`, and conditions of one filter. */
const MOST_VALUES = 1000;
const MOST_CONDITIONS = 20;

const valueSchema = z.union([
  z.string().max(4096),
  z.boolean(),
  z
    .number()
    .refine(
      (value) => !Number.isInteger(value) || Number.isSafeInteger(value),
      'is beyond 2^53: write it as text, all digits are kept then',
    ),
]);
const keySchema = z.array(valueSchema).min(1);

/** Which rows of a table a request is about: the same for reads and verifications. What the values mean is left to the layout. */
export const rowScopeShape = {
  keys: z.array(keySchema).min(1).max(10_000).optional(),
  range: z
    .strictObject({ from: keySchema.optional(), to: keySchema.optional() })
    .refine(({ from, to }) => from !== undefined || to !== undefined, 'needs from, to, or both')
    .optional(),
  where: z
    .array(
      z.strictObject({
        column: z.string().min(1).max(64),
        op: z.enum(['=', '!=', '<', '<=', '>', '>=', 'in', 'is null', 'is not null']),
        value: z.union([valueSchema, z.array(valueSchema).min(1).max(MOST_VALUES)]).optional(),
      }),
    )
    .min(1)
    .max(MOST_CONDITIONS)
    .optional(),
};

/** Whether it asks for nothing more than one of them. */
export function hasOneScope(scope: { readonly [name in keyof typeof rowScopeShape]?: unknown }): boolean {
  return [scope.keys, scope.range, scope.where].filter((one) => one !== undefined).length <= 1;
}

export const ONE_SCOPE = 'takes one of keys, range and where';
