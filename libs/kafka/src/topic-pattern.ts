/** The topics of these sources: `<source>.<database>.<table>`, in which no part holds a dot. */
export function compileTopicPattern(sources: readonly string[]): RegExp {
  return new RegExp(`^(?:${sources.join('|')})\\.[^.]+\\.[^.]+$`);
}
