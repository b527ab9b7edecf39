import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Stack, startStack } from '#stack';

/** A server of a test's own: its global settings may be changed, and it may be killed. */
export class OwnServer {
  readonly stack: Stack;
  readonly url: string;

  private constructor(stack: Stack, url: string) {
    this.stack = stack;
    this.url = url;
  }

  static async start(name: 'mysql-primary' | 'mariadb'): Promise<OwnServer> {
    const folder = await mkdtemp(join(tmpdir(), `ditto-${name}-`));
    const stack = await startStack({ folder, servers: [name] });
    return new OwnServer(stack, stack.url(name));
  }

  async end(): Promise<void> {
    await this.stack.down();
    await rm(this.stack.folder, { recursive: true, force: true });
  }
}
