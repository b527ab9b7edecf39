/**
 * At most `most` characters of `text` from one on; what is left out is an ellipsis. Never half of a surrogate pair, and
 * U+FFFD for a half that the text has: MySQL refuses a JSON document with one.
 */
export function cutText(text: string, most: number, from = 0): string {
  const start = isInsidePair(text, from) ? from - 1 : from;
  const last = start + most;
  const end = isInsidePair(text, last) ? last - 1 : last;
  return `${start > 0 ? '…' : ''}${text.slice(start, end)}${end < text.length ? '…' : ''}`.toWellFormed();
}

function isInsidePair(text: string, at: number): boolean {
  return at > 0 && (text.codePointAt(at - 1) ?? 0) > 0xffff;
}
