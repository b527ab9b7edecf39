import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { type Endpoint, type Stack, startStack } from '#stack';
import { FaultProxy } from '#testing';
import { follow, promote } from '../cluster/server-roles.ts';

export type NodeName = 'a' | 'b' | 'c';
export const nodeNames: readonly NodeName[] = ['a', 'b', 'c'];

interface Node {
  readonly stack: Stack;
  readonly member: 'mysql-primary' | 'mysql-replica';
}

/** A primary and two replicas that change their roles. Replicas reach their primary through a proxy. */
export class SourceCluster {
  primary: NodeName = 'a';
  /** Former primaries with transactions that no other server has; they are built again while nothing is written. */
  readonly astray = new Set<NodeName>();
  readonly #nodes: Readonly<Record<NodeName, Node>>;
  /** Before the primary, for its replicas. */
  readonly replication: FaultProxy;

  private constructor(nodes: Readonly<Record<NodeName, Node>>, replication: FaultProxy) {
    this.#nodes = nodes;
    this.replication = replication;
  }

  /** @param stack has the first two servers; the third gets a stack of its own, in the same folder. */
  static async start(stack: Stack, environment: NodeJS.ProcessEnv): Promise<SourceCluster> {
    const folder = join(stack.folder, 'third');
    mkdirSync(join(folder, 'mysql-primary'), { recursive: true });
    writeFileSync(join(folder, 'mysql-primary', 'more.cnf'), '[mysqld]\nserver-id = 11\n');
    const third = await startStack({ folder, servers: ['mysql-primary'], environment });
    const replication = await FaultProxy.open(stack.endpoint('mysql-primary'));
    const cluster = new SourceCluster(
      {
        a: { stack, member: 'mysql-primary' },
        b: { stack, member: 'mysql-replica' },
        c: { stack: third, member: 'mysql-primary' },
      },
      replication,
    );
    await cluster.#with('b', (connection) => connection.query('STOP REPLICA; RESET REPLICA ALL'));
    await cluster.#follow('b');
    await cluster.#follow('c');
    return cluster;
  }

  /** Those that are not the primary, and are not astray. */
  get replicas(): readonly NodeName[] {
    return nodeNames.filter((name) => name !== this.primary && !this.astray.has(name));
  }

  endpoint(name: NodeName): Endpoint {
    const { stack, member } = this.#nodes[name];
    return stack.endpoint(member);
  }

  url(name: NodeName = this.primary): string {
    const { stack, member } = this.#nodes[name];
    return stack.url(member);
  }

  kill(name: NodeName): Promise<void> {
    const { stack, member } = this.#nodes[name];
    return stack.kill(member);
  }

  start(name: NodeName): Promise<void> {
    const { stack, member } = this.#nodes[name];
    return stack.start(member);
  }

  freeze(name: NodeName): Promise<void> {
    const { stack, member } = this.#nodes[name];
    return stack.freeze(member);
  }

  thaw(name: NodeName): Promise<void> {
    const { stack, member } = this.#nodes[name];
    return stack.thaw(member);
  }

  executed(name: NodeName = this.primary): Promise<string> {
    return this.#with(name, async (connection) => {
      const [[row]] = await connection.query<RowDataPacket[]>('SELECT @@GLOBAL.gtid_executed AS executed');
      return String(row?.['executed']).replaceAll(/\s/g, '');
    });
  }

  /** What the first set has and the second lacks. */
  subtract(set: string, other: string): Promise<string> {
    return this.#with(this.primary, async (connection) => {
      const [[row]] = await connection.query<RowDataPacket[]>('SELECT GTID_SUBTRACT(?, ?) AS rest', [set, other]);
      return String(row?.['rest']).replaceAll(/\s/g, '');
    });
  }

  /** All replicas have executed what the primary has. */
  async waitForReplicas(): Promise<void> {
    const executed = await this.executed();
    for (const name of this.replicas)
      await this.#with(name, async (connection) => {
        const [[row]] = await connection.query<RowDataPacket[]>('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60) AS late', [
          executed,
        ]);
        if (row?.['late'] !== 0) throw new Error(`Replica ${name} does not follow.`);
      });
  }

  /** Until a primary is lost: what it commits from now on stays with it. Resolves when it has something of its own. */
  async keepFromReplicas(): Promise<void> {
    this.replication.cut();
    const before = await this.executed();
    while ((await this.executed()) === before) await sleep(20);
  }

  /** The primary is dead: the replica that has received most takes its place, once it has applied that. */
  async failOver(): Promise<NodeName> {
    const lost = this.primary;
    let chosen: { readonly name: NodeName; readonly received: string } | null = null;
    for (const name of this.replicas) {
      const received = await this.#received(name);
      const isMore = chosen === null || (await this.#isSubset(name, chosen.received, received));
      if (isMore) chosen = { name, received };
    }
    if (chosen === null) throw new Error('No replica is left.');
    const { name } = chosen;
    await this.#with(name, async (connection) => {
      await connection.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60)', [chosen.received]);
      await promote(connection);
    });
    const others = this.replicas.filter((other) => other !== name);
    this.primary = name;
    // until it is known what only it has
    this.astray.add(lost);
    this.replication.target = this.endpoint(name);
    this.replication.cutConnections();
    this.replication.restore();
    for (const other of others) await this.#follow(other);
    return lost;
  }

  /** A former primary comes back: as a replica, or, with transactions of its own, not before it is built again. */
  async welcome(name: NodeName): Promise<boolean> {
    await this.start(name);
    const own = await this.subtract(await this.executed(name), await this.executed());
    if (own !== '') {
      await this.kill(name);
      return false;
    }
    await this.#follow(name);
    this.astray.delete(name);
    return true;
  }

  /** Gives servers that went astray the rows and the place of the primary. Nothing may be written meanwhile. */
  async rebuildAstray(databases: readonly string[]): Promise<void> {
    for (const name of this.astray) {
      await this.start(name);
      const executed = await this.executed();
      await this.#with(this.primary, (from) => this.#with(name, (to) => copyRows(from, to, databases, executed)));
      await this.#follow(name);
      this.astray.delete(name);
    }
  }

  async close(): Promise<void> {
    this.replication.close();
    await this.#nodes.c.stack.down();
  }

  async #follow(name: NodeName): Promise<void> {
    const { user, password } = this.endpoint(this.primary);
    await this.#with(name, async (connection) => {
      await connection.query('STOP REPLICA; RESET REPLICA ALL');
      await follow(connection, { host: this.replication.host, port: this.replication.port, user, password });
    });
  }

  #received(name: NodeName): Promise<string> {
    return this.#with(name, async (connection) => {
      const [[status]] = await connection.query<RowDataPacket[]>('SHOW REPLICA STATUS');
      const sets = [status?.['Retrieved_Gtid_Set'], status?.['Executed_Gtid_Set']];
      const some = sets.map((set) => String(set ?? '').replaceAll(/\s/g, '')).filter((set) => set !== '');
      return some.join(',');
    });
  }

  #isSubset(name: NodeName, set: string, of: string): Promise<boolean> {
    return this.#with(name, async (connection) => {
      const [[row]] = await connection.query<RowDataPacket[]>('SELECT GTID_SUBSET(?, ?) AS isSubset', [set, of]);
      return row?.['isSubset'] === 1;
    });
  }

  async #with<T>(name: NodeName, work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await createConnection({
      uri: this.url(name),
      multipleStatements: true,
      charset: 'utf8mb4',
      // rows are copied as text
      dateStrings: true,
      jsonStrings: true,
      connectTimeout: 10_000,
    });
    connection.on('error', () => undefined); // reported by the call that is under way
    try {
      return await work(connection);
    } finally {
      connection.destroy();
    }
  }
}

const ROWS_AT_ONCE = 500;

async function copyRows(
  from: Connection,
  to: Connection,
  databases: readonly string[],
  executed: string,
): Promise<void> {
  await to.query('SET PERSIST super_read_only = OFF; SET PERSIST read_only = OFF; SET sql_log_bin = 0');
  const [tables] = await from.query<RowDataPacket[]>(
    'SELECT CONCAT(table_schema, ".", table_name) AS name FROM information_schema.tables WHERE table_schema IN (?)',
    [databases],
  );
  for (const name of tables.map((table) => String(table['name']))) {
    await to.query(`TRUNCATE ${name}`);
    const [rows] = await from.query<unknown[][] & RowDataPacket[]>({ sql: `SELECT * FROM ${name}`, rowsAsArray: true });
    for (let at = 0; at < rows.length; at += ROWS_AT_ONCE)
      await to.query(`INSERT INTO ${name} VALUES ?`, [rows.slice(at, at + ROWS_AT_ONCE)]);
  }
  await to.query('SET sql_log_bin = 1; RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged = ?', [executed]);
}
