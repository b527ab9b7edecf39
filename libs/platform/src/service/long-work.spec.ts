import { expect, it } from '@jest/globals';
import { LongWork } from './long-work.ts';
import { Shutdown } from './shutdown.ts';

class Follower extends LongWork {
  readonly steps: string[] = [];

  protected override async run(signal: AbortSignal): Promise<void> {
    this.steps.push('runs');
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    this.steps.push(`ends: ${(signal.reason as Error).message}`);
  }
}

it.each([
  ['asked to by a signal', 'SIGTERM'],
  ['closed without one', undefined],
])('the end of a service that is %s waits for its work', async (_, reason) => {
  const shutdown = new Shutdown();
  const work = new Follower(shutdown);
  work.onApplicationBootstrap();
  expect(work.steps).toEqual(['runs']);
  if (reason !== undefined) shutdown.begin(reason);
  await work.onModuleDestroy();
  expect(work.steps).toEqual(['runs', `ends: ${reason ?? 'the application closes'}`]);
});
