import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Stack, startStack } from '#stack';

/** A MySQL of its own: its global settings may be changed. */
export class MySqlServer {
  readonly stack: Stack;

  private constructor(stack: Stack) {
    this.stack = stack;
  }

  static async start(): Promise<MySqlServer> {
    const folder = await mkdtemp(join(tmpdir(), 'ditto-mysql-'));
    return new MySqlServer(await startStack({ folder, servers: ['mysql-primary'] }));
  }

  get url(): string {
    return this.stack.url('mysql-primary');
  }

  async end(): Promise<void> {
    await this.stack.down();
    await rm(this.stack.folder, { recursive: true, force: true });
  }
}
