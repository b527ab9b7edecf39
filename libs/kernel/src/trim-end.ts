/** `text` without what repeats `character` at its end. `/0+$/` does the same in time that grows with the square of a run. */
export function trimEndOf(text: string, character: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === character) end--;
  return text.slice(0, end);
}
