import { DittoError } from './ditto-error.ts';

const FACTORS: Readonly<Record<string, number>> = {
  b: 1,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  tb: 1000 ** 4,
};

/**
 * Reads a size such as `'32 MiB'`, `'1.5 GiB'`, `'500 kB'` or `'4096'`: whole bytes, without a unit or with one
 * (KiB, MiB, GiB, TiB are powers of 1024; kB, MB, GB, TB of 1000; case does not matter).
 * Throws `DITTO_KERNEL_BYTES_INVALID` for anything else.
 */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(?:\s*([a-z]+))?$/i.exec(text.trim());
  const factor = FACTORS[(match?.[2] ?? 'b').toLowerCase()];
  const bytes = match && factor ? Math.round(Number(match[1]) * factor) : NaN;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new DittoError('DITTO_KERNEL_BYTES_INVALID', `'${text}' is not a size`, {
    remedy: "Write a whole number of bytes, or a number with a unit such as '32 MiB'.",
    context: { text },
  });
}
