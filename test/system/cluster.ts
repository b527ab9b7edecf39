import { type SourceStatus } from '../../apps/dss/src/sources/source-status.ts';
import { follow, promote } from '../cluster/server-roles.ts';
import { type ServiceInstance, type World } from './world.ts';

export type ClusterServer = 'mysql-primary' | 'mysql-replica';

/** The primary and the replica of a world with `ownCluster`, which change their roles. */
export class Cluster {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  addressOf(server: ClusterServer): string {
    const { host, port } = this.#world.cluster.endpoint(server);
    return `${host}:${port}`;
  }

  async executed(server: ClusterServer): Promise<string> {
    const connection = await this.#world.connect(server);
    const [rows] = await connection.query('SELECT @@GLOBAL.gtid_executed AS executed');
    return (rows as { executed: string }[])[0]?.executed ?? '';
  }

  /** The replica has executed all that the primary has. */
  async waitForReplica(replica: ClusterServer): Promise<void> {
    const connection = await this.#world.connect(replica);
    await connection.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 30)', [await this.executed(this.#world.primary)]);
  }

  async promote(server: ClusterServer): Promise<void> {
    await promote(await this.#world.connect(server));
  }

  async replicate(server: ClusterServer, from: ClusterServer): Promise<void> {
    await follow(await this.#world.connect(server), this.#world.cluster.endpoint(from));
  }

  /** The other server may not take the place of the one that is lost, for this reason; gives the message. */
  async waitForRefusal(dss: ServiceInstance, server: ClusterServer, code: string): Promise<string> {
    const find = ({ refusedServers }: SourceStatus) =>
      refusedServers.find((refused) => refused.endpoint === this.addressOf(server) && refused.code === code);
    const what = `${server} to be refused: ${code}`;
    const status = await this.#world.waitForStatus(dss, what, (one) => find(one) !== undefined);
    return find(status)?.message ?? '';
  }

  waitUntilStreamedFrom(dss: ServiceInstance, server: ClusterServer, withinMs = 30_000): Promise<SourceStatus> {
    return this.#world.waitForStatus(
      dss,
      `the source to be streamed from ${server}`,
      ({ state, server: streamed, pipeline }) =>
        state === 'streaming' && streamed?.endpoint === this.addressOf(server) && pipeline?.phase === 'streaming',
      withinMs,
    );
  }
}
