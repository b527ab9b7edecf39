const SPACE_AND_COMMAS = /[\s,]+/g;
/** A UUID begins here. Nothing separates it from the thread number before it, but no other digits lie so before a dash. */
const UUID_BEGINS = /(?=[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/;
const THREAD = /#\d+/g;

/** `gtid_owned` (`uuid[:tag]:number#thread[:number#thread…]`, sets one after the other) as text of a GTID set. */
export function ownedGtids(text: string): string {
  const bySid = text.toLowerCase().replace(SPACE_AND_COMMAS, '').split(UUID_BEGINS);
  return bySid.map((owned) => owned.replace(THREAD, '')).join(',');
}
