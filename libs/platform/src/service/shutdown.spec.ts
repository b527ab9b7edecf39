import {
  type BeforeApplicationShutdown,
  Injectable,
  Module,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { describe, expect, it, jest } from '@jest/globals';
import { Deferred, silentLogger, sleep } from '#kernel';
import { parseConfig } from '#configuration';
import { configureLogging } from '../logging/root-logger.ts';
import { createService } from './create-service.ts';
import { createShutdownSequence } from './shutdown-sequence.ts';
import { Shutdown } from './shutdown.ts';

const config = parseConfig(`
sources: { shop: { endpoints: [{ host: db, user: ditto, password: secret }], include: ['shop.*'] } }
mongo: { url: 'mongodb://localhost' }
redis: { url: 'redis://localhost' }
state: { host: db, user: ditto, password: secret }
`);

const steps: string[] = [];
let app: NestFastifyApplication;

@Injectable()
class Connection implements OnModuleInit, OnApplicationShutdown {
  onModuleInit() {
    steps.push('connection opens');
  }
  onApplicationShutdown() {
    steps.push('connection closes');
  }
}

@Module({ providers: [Connection], exports: [Connection] })
class ConnectionModule {}

@Injectable()
class Worker implements OnModuleInit, OnModuleDestroy, BeforeApplicationShutdown {
  readonly #shutdown: Shutdown;

  constructor(_connection: Connection, shutdown: Shutdown) {
    this.#shutdown = shutdown;
  }
  onModuleInit() {
    steps.push('worker starts');
    this.#shutdown.signal.addEventListener('abort', () => steps.push('signal'));
  }
  async onModuleDestroy() {
    const ready = await fetch(`${await app.getUrl()}/health/ready`);
    steps.push(`worker stops, readiness ${ready.status}`);
  }
  beforeApplicationShutdown() {
    steps.push('worker is done');
  }
}

@Module({ imports: [ConnectionModule], providers: [Worker] })
class AppModule {}

describe('a shutdown', () => {
  it('starts bottom-up, stops top-down, and is not ready during that', async () => {
    configureLogging({ service: 'dss', level: 'silent' });
    app = await createService({ name: 'dss', description: '', createModule: () => AppModule }, config);
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    const exit = jest.fn();
    const begin = (reason: string) => app.get(Shutdown).begin(reason);
    await createShutdownSequence({ begin, close: () => app.close(), deadlineMs: 5000, exit, logger: silentLogger })(
      'SIGTERM',
    );
    expect(steps).toEqual([
      'connection opens',
      'worker starts',
      'signal',
      'worker stops, readiness 503',
      'worker is done',
      'connection closes',
    ]);
    expect(exit.mock.calls).toEqual([[0]]);
    await expect(fetch(`${url}/health/live`)).rejects.toThrow();
  });

  it('is cut off at its deadline', async () => {
    const exit = jest.fn();
    const error = jest.fn();
    const logger = { ...silentLogger, error };
    const close = () => new Promise<void>(() => undefined);
    await createShutdownSequence({ begin: jest.fn(), close, deadlineMs: 5, exit, logger })('SIGTERM');
    expect(exit.mock.calls).toEqual([[1]]);
    expect(error).toHaveBeenCalledWith(expect.any(String), {
      error: expect.objectContaining({ code: 'DITTO_SERVICE_SHUTDOWN_DEADLINE' }),
    });
  });

  it('ends with 1 when something can not be closed', async () => {
    const exit = jest.fn();
    const close = () => Promise.reject(new Error('broken'));
    await createShutdownSequence({ begin: jest.fn(), close, deadlineMs: 5000, exit, logger: silentLogger })('SIGINT');
    expect(exit.mock.calls).toEqual([[1]]);
  });

  it('is forced by a second signal, but not by the echo of the first', async () => {
    const exit = jest.fn();
    const closing = new Deferred<void>();
    const options = { begin: jest.fn(), close: () => closing.promise, deadlineMs: 60_000, logger: silentLogger };
    const onSignal = createShutdownSequence({ ...options, exit });
    const first = onSignal('SIGINT');
    await onSignal('SIGINT');
    expect(exit).not.toHaveBeenCalled();
    await sleep(510);
    await onSignal('SIGINT');
    expect(exit.mock.calls).toEqual([[1]]);
    expect(options.begin).toHaveBeenCalledTimes(1);
    closing.resolve();
    await first;
  });
});
