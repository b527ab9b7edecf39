import { describe, expect, it } from '@jest/globals';
import { GtidSet } from '#change-events';
import { type MySqlSession } from '../mysql-session.ts';
import { readSetsWithOwned } from './read-window.ts';

const SID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

/** A server on which one transaction after the other is committed: the last visible one is executed after each statement. */
class CommittingServer {
  readonly kind = 'mysql';
  /** Transactions up to here are visible; the last of them is owned, not executed. */
  #visible = 5;

  get visible(): GtidSet {
    return GtidSet.parse(`${SID}:1-${this.#visible}`);
  }

  query(sql: string): Promise<unknown[]> {
    const last = this.#visible++;
    if (sql.includes('gtid_owned')) return Promise.resolve([{ value: `${SID}:${last}#12` }]);
    return Promise.resolve([{ executed: `${SID}:1-${last - 1}`, purged: '' }]);
  }
}

describe('the sets after a read', () => {
  it('hold a transaction that passes from the owned to the executed ones between the two statements', async () => {
    const server = new CommittingServer();
    const { visible } = server;
    const { executed } = await readSetsWithOwned(server as unknown as MySqlSession);
    expect(GtidSet.parse(executed).contains(visible)).toBe(true);
  });
});
