/** What a person does where the log can't go on; `verb` in capitals where the sentence begins with it. */
export function adviseResync(source: string, verb: 'resync' | 'Resync' = 'resync'): string {
  return `${verb} the source (npm run ditto -- resync --source ${source})`;
}

/** For an error that does not know the name of its source. */
export const RESYNC = adviseResync('<name>');
/** At the beginning of a sentence. */
export const RESYNC_FIRST = adviseResync('<name>', 'Resync');
