import type { Deployment } from '../deployment.ts';
import type { ChaosServer } from '../plan.ts';
import type { FaultAct } from './fault-act.ts';

type Act = 'kill' | 'start' | 'freeze' | 'thaw';

/** A server is killed and comes back with its data, or stands still with its connections open. */
export class ServerFault implements FaultAct {
  readonly #act: (act: Act) => Promise<void>;
  readonly #kind: 'kill' | 'freeze';

  constructor({ stack, cluster }: Deployment, server: ChaosServer, kind: 'kill' | 'freeze') {
    this.#kind = kind;
    // one of those that there are now, and it stays that one
    const [replica = cluster.primary] = cluster.replicas;
    this.#act = (act) => (server === 'replica' ? cluster[act](replica) : stack[act](server));
  }

  apply(): Promise<void> {
    return this.#act(this.#kind);
  }

  calm(): Promise<void> {
    return this.#act(this.#kind === 'kill' ? 'start' : 'thaw');
  }
}
