import { type TableName } from '#change-events';
import { type AskService } from './verify.ts';

export interface FoundMismatch extends TableName {
  readonly sink: string;
}

interface MismatchPage {
  readonly mismatches: readonly FoundMismatch[];
  readonly next: string | null;
}

const PAGE_SIZE = '1000';

/** Asks DWS for all pages; no more than one of them is in memory: mismatches come with their values. */
export async function countMismatches(
  ask: AskService,
  filter: Readonly<Record<string, string>>,
  isCounted: (mismatch: FoundMismatch) => boolean = () => true,
): Promise<number> {
  let count = 0;
  for (let after: string | null = ''; after !== null;) {
    const query = new URLSearchParams({ ...filter, limit: PAGE_SIZE, ...(after !== '' && { after }) });
    const page = (await ask('GET', `/mismatches?${query.toString()}`)) as MismatchPage;
    count += page.mismatches.filter(isCounted).length;
    after = page.next;
  }
  return count;
}
