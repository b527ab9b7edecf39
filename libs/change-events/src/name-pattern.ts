/** One name of a pattern: plain, with `*` for any characters, or in backquotes, where nothing has a meaning of its own. */
export function compileName(name: string, flags = ''): RegExp {
  const source = name.startsWith('`')
    ? escapeRegExp(name.slice(1, -1).replaceAll('``', '`'))
    : name.split('*').map(escapeRegExp).join('.*');
  return new RegExp(`^${source}$`, `s${flags}`);
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
