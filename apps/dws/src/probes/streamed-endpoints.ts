import { Injectable } from '@nestjs/common';
import { type Checkpoint, type StoredCheckpoint } from '#change-events';
import { formatEndpoint, type SourceConfig } from '#configuration';
import { DcsCheckpointStore, DcsClient } from '#dcs-client';
import { DittoError, toDittoError } from '#kernel';
import { StateCheckpointStore, StateDatabase } from '#state';
import { HeartbeatBoard } from './heartbeat-board.ts';

/** The server whose log a source is streamed from. */
export interface StreamedEndpoint {
  /** Its place in the configuration. */
  readonly index: number;
  /** Null where the source has only one endpoint, whichever server answers there. */
  readonly serverUuid: string | null;
}

/** Finds out from which of its endpoints a source is streamed: by the checkpoint's server, as probes have met it. */
@Injectable()
export class StreamedEndpoints {
  readonly #dcs: DcsCheckpointStore;
  readonly #state: StateCheckpointStore;
  readonly #board: HeartbeatBoard;

  constructor(dcs: DcsClient, state: StateDatabase, board: HeartbeatBoard) {
    this.#dcs = new DcsCheckpointStore(dcs);
    this.#state = new StateCheckpointStore(state);
    this.#board = board;
  }

  /** Rejects (retriable) while no endpoint is known to be that server. */
  async find({ name, endpoints }: SourceConfig): Promise<StreamedEndpoint> {
    if (endpoints.length === 1) return { index: 0, serverUuid: null };
    const checkpoint = await this.#loadCheckpoint(name);
    const serverUuid = checkpoint?.position.serverUuid ?? null;
    const { heartbeats } = await this.#board.list(name);
    const found = heartbeats.find((heartbeat) => heartbeat.serverUuid === serverUuid);
    const index = endpoints.findIndex((endpoint) => formatEndpoint(endpoint) === found?.endpoint);
    if (index >= 0 && serverUuid !== null) return { index, serverUuid };
    throw new DittoError(
      'DITTO_SOURCE_SERVER_UNKNOWN',
      serverUuid === null
        ? `${name} was not streamed yet`
        : `no endpoint of ${name} is known to be the server ${serverUuid}, from which it is streamed`,
      {
        retriable: true,
        remedy: 'GET /heartbeats names what the probes found. It continues when one of them reaches that server.',
        context: { source: name, serverUuid },
      },
    );
  }

  async #loadCheckpoint(source: string): Promise<Checkpoint | null> {
    let stored: StoredCheckpoint | null;
    try {
      stored = await this.#dcs.load(source);
    } catch (error) {
      if (!toDittoError(error).retriable) throw error;
      stored = await this.#state.load(source);
    }
    return stored?.checkpoint ?? null;
  }
}
