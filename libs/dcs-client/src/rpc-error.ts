import { z } from 'zod';
import { DittoError } from '#kernel';

/** How a `DittoError` travels in an RPC answer. */
const rpcErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  retriable: z.boolean(),
  remedy: z.string().nullable().default(null),
  context: z.record(z.string(), z.unknown()).default({}),
});
export type RpcError = z.output<typeof rpcErrorSchema>;

export function toRpcError({ code, message, retriable, remedy, context }: DittoError): RpcError {
  return { code, message, retriable, remedy, context };
}

/** Null when the error did not come from DCS: the connection failed, or something else answered. */
export function fromRpcError(error: unknown): DittoError | null {
  const parsed = rpcErrorSchema.safeParse(error);
  if (!parsed.success) return null;
  const { code, message, retriable, remedy, context } = parsed.data;
  return new DittoError(code, message, { retriable, context, ...(remedy !== null && { remedy }) });
}
