import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Stack, startStack } from '#stack';

/** A MariaDB of its own: its global settings may be changed, and it may be killed. */
export class MariaDbServer {
  readonly stack: Stack;

  private constructor(stack: Stack) {
    this.stack = stack;
  }

  static async start(): Promise<MariaDbServer> {
    const folder = await mkdtemp(join(tmpdir(), 'ditto-mariadb-'));
    return new MariaDbServer(await startStack({ folder, servers: ['mariadb'] }));
  }

  get url(): string {
    return this.stack.url('mariadb');
  }

  async end(): Promise<void> {
    await this.stack.down();
    await rm(this.stack.folder, { recursive: true, force: true });
  }
}
