import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import { compareAll, type Comparison } from '../oracle/compare-all.ts';
import { createTables, fill, workloadTables } from '../system/workload.ts';
import type { Deployment } from './deployment.ts';
import { DeadDss } from './faults/dead-dss.ts';
import type { FaultAct } from './faults/fault-act.ts';
import { LinkFault } from './faults/link-fault.ts';
import { LostPrimary } from './faults/lost-primary.ts';
import { RefusedWrites } from './faults/refused-writes.ts';
import { ServerFault } from './faults/server-faults.ts';
import { EndedService, FrozenService, JumpedClock } from './faults/service-faults.ts';
import { Load } from './load.ts';
import {
  type ChaosService,
  type ChaosServer,
  describeFault,
  type FaultGroup,
  Plan,
  type PlannedFault,
  type Way,
  ways,
} from './plan.ts';
import {
  type ChaosReport,
  MOST_MEMORY_BYTES,
  MOST_SWITCH_MS,
  MOST_TAKEOVER_MS,
  type Switch,
  type Takeover,
  trustworthy,
} from './report.ts';
import { Sources } from './sources.ts';
import type { Timing } from './stopwatch.ts';
import { CheckpointWatch, LatencyWatch, MirrorWatch, ServiceWatch } from './watches.ts';
import { verifyAll } from './verify.ts';

const KEYS = 1_200;

export interface ChaosRunOptions {
  readonly deployment: Deployment;
  readonly seed: number;
  /** Whether another round begins, after so many. */
  readonly goesOn: (rounds: number) => boolean;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Round after round of the plan, until one fails or there are enough. */
export class ChaosRun {
  readonly #options: ChaosRunOptions;
  readonly #deployment: Deployment;
  readonly #sources: Sources;
  readonly #mirror: MirrorWatch;
  readonly #checkpoints: CheckpointWatch;
  readonly #services: ServiceWatch;
  readonly #latency: LatencyWatch;
  readonly #switches: Switch[] = [];
  readonly #takeovers: Takeover[] = [];
  readonly #faults = new Map<string, number>();
  readonly #failures: string[] = [];
  /** What took too long; the run goes on, since nothing is wrong in what there is. */
  readonly #late: string[] = [];
  #compared: readonly Comparison[] = [];
  #verified = { runs: 0, falseAlarms: 0 };
  #transactions = 0;
  #rounds = 0;

  constructor(options: ChaosRunOptions) {
    this.#options = options;
    this.#deployment = options.deployment;
    this.#sources = new Sources(options.deployment);
    const { stack } = options.deployment;
    this.#mirror = new MirrorWatch(stack.url('mongo'));
    this.#checkpoints = new CheckpointWatch(stack.url('mysql-state'));
    this.#services = new ServiceWatch(options.deployment);
    this.#latency = new LatencyWatch(options.deployment);
  }

  async run(): Promise<ChaosReport> {
    const { seed, goesOn, say, signal } = this.#options;
    await this.#fill();
    for (const name of ['dcs-1', 'dcs-2', 'dws-1', 'dss-1', 'dss-2'] as const) this.#deployment.start(name);
    await this.#deployment.waitUntilReady(signal);
    await this.#sources.waitUntilSteady();
    const watches = [this.#mirror, this.#checkpoints, this.#services, this.#latency];
    for (const watch of watches) watch.begin();
    const plan = new Plan(seed);
    try {
      while (this.#failures.length === 0 && goesOn(this.#rounds) && !signal.aborted) {
        this.#rounds++;
        await this.#round(plan.nextRound());
      }
    } catch (error) {
      this.#failures.push(`round ${this.#rounds}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      for (const watch of watches) await watch.end();
    }
    say(`${this.#mirror.comparisons} versions of documents and ${this.#checkpoints.writes} checkpoints were watched.`);
    return this.#report();
  }

  async #fill(): Promise<void> {
    const connection = await createConnection({
      uri: this.#deployment.cluster.url(),
      multipleStatements: true,
      charset: 'utf8mb4',
    });
    for (const way of ways) {
      const database = this.#deployment.databaseOf(way);
      await connection.query(`CREATE DATABASE ${database}`);
      await createTables({ database }, connection);
      await fill(connection, KEYS);
    }
    connection.destroy();
    await this.#deployment.cluster.waitForReplicas();
  }

  async #round(groups: readonly FaultGroup[]): Promise<void> {
    const { say, signal } = this.#options;
    const { cluster } = this.#deployment;
    const loads = ways.map(
      (way) => new Load({ url: () => cluster.url(), database: this.#deployment.databaseOf(way), keys: KEYS }),
    );
    try {
      for (const { restMs, faults } of groups) {
        await sleep(restMs, undefined, { signal });
        await this.#suffer(faults);
      }
    } finally {
      await Promise.all(loads.map((load) => load.stop()));
      for (const load of loads) this.#transactions += load.transactions;
    }
    say(`round ${this.#rounds}: all is calm; catching up, comparing, verifying`);
    await cluster.rebuildAstray(ways.map((way) => this.#deployment.databaseOf(way)));
    await cluster.waitForReplicas();
    await this.#sources.waitUntilCaughtUp();
    this.#compared = await Promise.all(ways.map((way) => this.#compare(way)));
    for (const { samples } of this.#compared) this.#failures.push(...samples);
    const { runs, falseAlarms } = await verifyAll(this.#deployment);
    this.#verified = { runs: this.#verified.runs + runs, falseAlarms: falseAlarms.length };
    this.#failures.push(...falseAlarms.map((alarm) => `false alarm: ${alarm}`));
    this.#failures.push(...this.#mirror.failures, ...this.#checkpoints.failures);
    this.#failures.push(...[...this.#services.ended].map((service) => `ended by itself: ${service}`));
  }

  /** All of them begin together, and end together. */
  async #suffer(faults: readonly PlannedFault[]): Promise<void> {
    const { say, signal } = this.#options;
    const isAlone = faults.length === 1;
    const acts = faults.map((fault) => this.#makeAct(fault, isAlone));
    say(`round ${this.#rounds}: ${faults.map(describeFault).join(' and ')}`);
    for (const fault of faults) this.#faults.set(fault.kind, (this.#faults.get(fault.kind) ?? 0) + 1);
    try {
      for (const act of acts) await act.apply();
      await sleep(Math.max(...faults.map(({ lastsMs }) => lastsMs)), undefined, { signal });
    } finally {
      for (const act of acts) await act.calm();
    }
  }

  #makeAct({ kind, on, dice }: PlannedFault, isAlone: boolean): FaultAct {
    const deployment = this.#deployment;
    switch (kind) {
      case 'kill primary':
        return new LostPrimary(deployment.cluster, this.#sources, dice, (done) => {
          this.#switches.push(done);
          this.#judgeSwitch(done);
        });
      case 'kill':
      case 'freeze':
        if (!isService(on)) return new ServerFault(deployment, on, kind);
        if (kind === 'freeze') return new FrozenService(deployment, on);
        return this.#kill(on, isAlone);
      case 'restart':
        return new EndedService(deployment, on, 'stop');
      case 'clock':
        return new JumpedClock(deployment, on, dice);
      case 'refuse writes':
        return new RefusedWrites(deployment.mongo, dice);
      case 'cut':
      case 'delay':
      case 'throttle':
      case 'half-close':
      case 'silence':
        return new LinkFault(deployment.proxy(on), kind, dice);
    }
  }

  #kill(name: ChaosService, isAlone: boolean): FaultAct {
    const ended = new EndedService(this.#deployment, name, 'kill');
    if (!isAlone || !name.startsWith('dss-')) return ended;
    return new DeadDss(ended, name, this.#sources, (done) => {
      this.#takeovers.push(done);
      if (!done.isTaken) this.#failures.push(`${done.source} was not taken over`);
      else if (isLate(done, MOST_TAKEOVER_MS))
        this.#late.push(`${done.source} was taken over after ${Math.round(done.tookMs)} ms`);
    });
  }

  #judgeSwitch(done: Switch): void {
    const { way, tookMs, byItself, isHealed } = done;
    if (!byItself) this.#failures.push(`${way} did not leave a dead primary by itself`);
    else if (!isHealed && isLate(done, MOST_SWITCH_MS))
      this.#late.push(`${way}: ${Math.round(tookMs)} ms from a dead primary to the first row of the next`);
  }

  #compare(way: Way): Promise<Comparison> {
    const { cluster, stack } = this.#deployment;
    return compareAll({
      mysql: { url: cluster.url() },
      mongo: { url: stack.url('mongo'), database: `ditto_${way}` },
      kafka: { brokers: stack.url('kafka').split(','), prefix: way },
      tables: workloadTables.map((table) => ({ database: this.#deployment.databaseOf(way), table })),
    });
  }

  #report(): ChaosReport {
    const compared = { rows: 0, messages: 0, repeats: 0, differences: 0, outOfOrder: 0 };
    for (const { tables, differences } of this.#compared) {
      compared.differences += differences;
      for (const { rows, kafka } of tables) {
        compared.rows += rows;
        compared.messages += kafka.messages;
        compared.repeats += kafka.repeats;
        compared.outOfOrder += kafka.outOfOrder;
      }
    }
    for (const [kind, bytes] of Object.entries(this.#services.memoryBytes))
      if (bytes > MOST_MEMORY_BYTES) this.#failures.push(`${kind} took ${bytes} bytes of memory`);
    return {
      seed: this.#options.seed,
      rounds: this.#rounds,
      faults: Object.fromEntries(this.#faults),
      switches: this.#switches,
      takeovers: this.#takeovers,
      transactions: this.#transactions,
      compared,
      verified: this.#verified,
      memoryBytes: this.#services.memoryBytes,
      p99Seconds: this.#latency.p99Seconds(),
      failures: [...this.#failures, ...this.#late],
    };
  }
}

function isLate(timing: Timing, mostMs: number): boolean {
  return timing.tookMs >= mostMs && trustworthy([timing]).length > 0;
}

function isService(on: ChaosService | ChaosServer): on is ChaosService {
  return /^(dss|dcs|dws)-/.test(on);
}
