import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { type ServerHeartbeat } from '#dcs-client';
import { isAbort, toDittoError } from '#kernel';
import { type EndpointVitals, MySqlProbe } from '#mysql';
import { type DittoConfig, formatEndpoint, toMySqlOptions } from '#configuration';
import { createLogger, InjectConfig } from '#platform';
import { ProbeMetrics } from '../metrics/probe-metrics.ts';
import { HeartbeatBoard } from './heartbeat-board.ts';

export interface EndpointAddress {
  readonly source: string;
  /** `host:port` */
  readonly endpoint: string;
}

/** A probe may take as long as it is until the next, within these bounds. */
const MIN_TIMEOUT_MS = 2000;
const MAX_TIMEOUT_MS = 5000;

const UNKNOWN = {
  serverUuid: null,
  serverVersion: null,
  executedGtidSet: null,
  purgedGtidSet: null,
  readOnly: null,
  superReadOnly: null,
  replicaLagMs: null,
  roundTripMs: null,
  clockOffsetMs: null,
  replicaError: null,
} as const;

/** Asks endpoints how they do, each over one connection of this process, and publishes what they answer. */
@Injectable()
export class EndpointProber implements OnModuleDestroy {
  readonly #probes: ReadonlyMap<string, MySqlProbe>;
  readonly #board: HeartbeatBoard;
  readonly #metrics: ProbeMetrics;
  readonly #logger = createLogger('probes');

  constructor(@InjectConfig() config: DittoConfig, board: HeartbeatBoard, metrics: ProbeMetrics) {
    this.#board = board;
    this.#metrics = metrics;
    const timeoutMs = Math.min(Math.max(config.dws.probeIntervalMs, MIN_TIMEOUT_MS), MAX_TIMEOUT_MS);
    this.#probes = new Map(
      Object.values(config.sources).flatMap(({ name, endpoints }) =>
        endpoints.map((endpoint) => [
          nameProbe({ source: name, endpoint: formatEndpoint(endpoint) }),
          new MySqlProbe({ connection: () => toMySqlOptions(endpoint), timeoutMs }),
        ]),
      ),
    );
  }

  /**
   * An endpoint that does not answer is an answer too. Rejects only when the answer can not be published: with the code
   * that DCS gave; the board of this process has it all the same.
   */
  async probe(address: EndpointAddress): Promise<ServerHeartbeat> {
    const startedAt = performance.now();
    const heartbeat = await this.#ask(address);
    this.#metrics.probed(address.source, heartbeat, performance.now() - startedAt);
    const before = this.#board.newestHere(address.source, address.endpoint);
    if (before?.reachable !== heartbeat.reachable) this.#tell(address, heartbeat);
    await this.#board.publish(address.source, heartbeat);
    return heartbeat;
  }

  onModuleDestroy(): void {
    for (const probe of this.#probes.values()) probe.close();
  }

  async #ask(address: EndpointAddress): Promise<ServerHeartbeat> {
    const { source, endpoint } = address;
    const probe = this.#probes.get(nameProbe(address));
    if (probe === undefined) throw new Error(`no endpoint ${endpoint} of ${source}`);
    try {
      const vitals = await probe.probe();
      const found = { endpoint, probedAtMs: Date.now(), reachable: true, unreachableSinceMs: null, error: null };
      return { ...found, ...describeVitals(vitals) };
    } catch (error) {
      if (isAbort(error)) throw error;
      const probedAtMs = Date.now();
      const { code, message } = toDittoError(error);
      const unreachableSinceMs = await this.#board.unreachableSince(source, endpoint, probedAtMs);
      return { ...UNKNOWN, endpoint, probedAtMs, reachable: false, unreachableSinceMs, error: `${code}: ${message}` };
    }
  }

  #tell(address: EndpointAddress, { reachable, error }: ServerHeartbeat): void {
    if (reachable) this.#logger.info('an endpoint answers', { ...address });
    else this.#logger.warn('an endpoint does not answer', { ...address, error });
  }
}

function nameProbe({ source, endpoint }: EndpointAddress): string {
  return `${source} ${endpoint}`;
}

function describeVitals(vitals: EndpointVitals) {
  const { replica } = vitals;
  return {
    serverUuid: vitals.serverUuid,
    serverVersion: vitals.version,
    executedGtidSet: vitals.gtidExecuted,
    purgedGtidSet: vitals.gtidPurged,
    readOnly: vitals.readOnly,
    superReadOnly: vitals.superReadOnly,
    replicaLagMs: replica?.lagSeconds == null ? null : replica.lagSeconds * 1000,
    roundTripMs: vitals.roundTripMs,
    clockOffsetMs: vitals.clockOffsetMs,
    replicaError: replica === null ? null : findReplicaError(replica),
  };
}

function findReplicaError({
  isReceiving,
  isApplying,
  lastError,
}: NonNullable<EndpointVitals['replica']>): string | null {
  if (isReceiving && isApplying) return null;
  if (lastError !== '') return lastError;
  if (!isReceiving && !isApplying) return 'replication is stopped';
  return isReceiving ? 'the replica receives, but does not apply' : 'the replica does not receive';
}
