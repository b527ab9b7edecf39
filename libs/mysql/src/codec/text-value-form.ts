import { type Column, type TextColumn } from '#change-events';

/** Whether only `decode` knows what the bytes of a value mean, and whether they mean anything. */
export function isKept({ kind }: Column, { isPlain }: TextColumn): boolean {
  return kind === 'json' || (kind === 'text' && !isPlain);
}
