import { type EndpointInspection, readClock } from './mysql-endpoint.ts';
import { PolledSession, type PolledSessionOptions } from './polled-session.ts';
import { readReplication } from './replica-state.ts';
import { readServerIdentity } from './server-identity.ts';

/** What changes from one moment to the next. */
export type EndpointVitals = Omit<EndpointInspection, 'gtidMode' | 'logEnd' | 'settings' | 'inspectedAtMs'>;

export type MySqlProbeOptions = PolledSessionOptions;

/** Asks one server again and again how it does; reads no tables and no catalogue. */
export class MySqlProbe {
  readonly #session: PolledSession;

  constructor(options: MySqlProbeOptions) {
    this.#session = new PolledSession(options);
  }

  /** Rejects as `PolledSession.ask` does. */
  async probe(): Promise<EndpointVitals> {
    return this.#session.ask(async (session) => {
      const identity = await readServerIdentity(session);
      const replication = await readReplication(session);
      return { ...identity, ...replication, ...(await readClock(session)) };
    });
  }

  close(): void {
    this.#session.close();
  }
}
