import { ways } from '../plan.ts';
import type { Switch } from '../report.ts';
import type { NodeName, SourceCluster } from '../source-cluster.ts';
import type { Sources } from '../sources.ts';
import { Stopwatch } from '../stopwatch.ts';
import type { FaultAct } from './fault-act.ts';

const MOVED_WITHIN_MS = 180_000;
/** Of so many kills the replicas lack something. */
const SHARE_WITH_LOSS = 0.35;

/**
 * The primary is killed under load and a replica promoted at once; later the old primary comes back as a replica. Some die
 * with transactions that no replica has received.
 */
export class LostPrimary implements FaultAct {
  readonly #cluster: SourceCluster;
  readonly #sources: Sources;
  readonly #note: (done: Switch) => void;
  readonly #dice: number;
  #lost: NodeName | null = null;

  constructor(cluster: SourceCluster, sources: Sources, dice: number, note: (done: Switch) => void) {
    this.#cluster = cluster;
    this.#dice = dice;
    this.#sources = sources;
    this.#note = note;
  }

  async apply(): Promise<void> {
    await this.#sources.moveToPrimary();
    const owners = await this.#sources.waitUntilSteady();
    await this.#cluster.waitForReplicas();
    if (this.#dice < SHARE_WITH_LOSS) await this.#cluster.keepFromReplicas();
    const lost = this.#cluster.primary;
    const watch = new Stopwatch();
    await this.#cluster.kill(lost);
    const moves = ways.map(async (way) => {
      const status = await this.#sources.waitUntilMoved(way, lost, MOVED_WITHIN_MS);
      const { tookMs, doubt } = watch.read();
      const isHandedOver = status !== null && status.instance !== owners.get(way);
      const why = isHandedOver ? 'the source was handed over at that time' : doubt;
      return { way, tookMs, doubt: why, byItself: status !== null, isHealed: status?.lastSwitch?.healing != null };
    });
    this.#lost = await this.#cluster.failOver();
    for (const done of await Promise.all(moves)) this.#note(done);
  }

  async calm(): Promise<void> {
    if (this.#lost !== null) await this.#cluster.welcome(this.#lost);
  }
}
