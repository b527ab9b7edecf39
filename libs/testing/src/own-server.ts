import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ServerName, type Stack, startStack } from '#stack';

/** A server of a test's own: its global settings may be changed, and it may be killed. */
export class OwnServer {
  readonly stack: Stack;
  readonly url: string;

  private constructor(stack: Stack, url: string) {
    this.stack = stack;
    this.url = url;
  }

  /** @param settings an option file on top of the stack's option file, for a process of this machine */
  static async start(name: ServerName, settings?: string): Promise<OwnServer> {
    const folder = await mkdtemp(join(tmpdir(), `ditto-${name}-`));
    if (settings !== undefined) {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, 'more.cnf'), settings);
    }
    const environment = settings === undefined ? process.env : { ...process.env, DITTO_STACK_KIND: 'native' };
    const stack = await startStack({ folder, servers: [name], environment });
    return new OwnServer(stack, stack.url(name));
  }

  async end(): Promise<void> {
    await this.stack.down();
    await rm(this.stack.folder, { recursive: true, force: true });
  }
}
