import { Body, Controller, Get, Inject, Injectable, Module, NotFoundException, Param, Post } from '@nestjs/common';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DittoError, sleep } from '#kernel';
import { z } from 'zod';
import { Actor } from '../auth/actor.ts';
import { Roles } from '../auth/access.ts';
import { AuditLog, type AuditEntry } from '../auth/audit-log.ts';
import { type DittoConfig, parseConfig } from '#configuration';
import { ReadinessIndicator } from '../health/readiness-indicator.ts';
import { RequestError } from '../http/request-error.ts';
import { SchemaPipe } from '../http/schema.pipe.ts';
import { configureLogging } from '../logging/root-logger.ts';
import { Metrics } from '../metrics/metrics.ts';
import { createService } from './create-service.ts';
import { InjectConfig } from './platform.module.ts';
import { Shutdown } from './shutdown.ts';

const FILE = `
sources: { shop: { endpoints: [{ host: db, user: ditto, password: secret }], include: ['shop.*'] } }
mongo: { url: 'mongodb://localhost' }
redis: { url: 'redis://localhost' }
state: { host: db, user: ditto, password: secret }
log: { level: info }
`;
const tokens = { look: 'look-look-look-look', act: 'act-act-act-act-act' };
const withTokens = `${FILE}
auth: { tokens: [{ name: viewer, token: ${tokens.look} }, { name: alice, token: ${tokens.act}, roles: [operate] }] }
dss: { http: { host: 0.0.0.0 } }
`;

const pauseSchema = z.strictObject({ reason: z.string(), forMs: z.int().min(1) });

class MemoryAuditLog extends AuditLog {
  readonly entries: AuditEntry[] = [];
  override record(entry: AuditEntry): Promise<void> {
    this.entries.push(entry);
    return Promise.resolve();
  }
}

@Injectable()
class SinkIndicator extends ReadinessIndicator {
  override readonly name = 'sink';
  failure: Error | null = null;
  checks = 0;
  override check(): Promise<Readonly<Record<string, unknown>>> {
    this.checks++;
    return this.failure ? Promise.reject(this.failure) : Promise.resolve({ lagMs: 3 });
  }
}

@Controller('sources')
class SourcesController {
  readonly #config: DittoConfig;
  readonly #audit: AuditLog;

  constructor(@InjectConfig() config: DittoConfig, @Inject(AuditLog) audit: AuditLog) {
    this.#config = config;
    this.#audit = audit;
  }

  @Get()
  list(@Actor() actor: string) {
    return { actor, sources: Object.keys(this.#config.sources) };
  }

  @Post(':name/pause')
  async pause(
    @Param('name') name: string,
    @Body(new SchemaPipe(pauseSchema)) details: z.output<typeof pauseSchema>,
    @Actor() actor: string,
  ) {
    await this.#audit.record({ actor, action: 'source.pause', subject: name, details });
    return { paused: name };
  }

  @Post('probe')
  @Roles('read')
  probe() {
    return {};
  }

  @Get('fail/:how')
  fail(@Param('how') how: string) {
    if (how === 'unknown') throw new TypeError('password=hunter2 leaked');
    if (how === 'busy') throw new DittoError('DITTO_TEST_BUSY', 'busy', { retriable: true, remedy: 'Wait.' });
    if (how === 'conflict') throw new RequestError(409, 'DITTO_TEST_CONFLICT', 'running already');
    throw new NotFoundException('no such source');
  }
}

@Module({
  controllers: [SourcesController],
  providers: [SinkIndicator, { provide: AuditLog, useClass: MemoryAuditLog }],
})
class AppModule {}

const logged: string[] = [];

async function start(text: string): Promise<NestFastifyApplication> {
  configureLogging({ service: 'dss', level: 'info', destination: { write: (line) => void logged.push(line) } });
  const options = { name: 'dss', description: 'For tests.', createModule: () => AppModule } as const;
  const app = await createService(options, parseConfig(text));
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  return app;
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('a service with tokens', () => {
  let app: NestFastifyApplication;
  beforeAll(async () => {
    app = await start(withTokens);
  });
  afterAll(() => app.close());

  const pause = { method: 'POST', url: '/sources/shop/pause', payload: { reason: 'test', forMs: 5 } } as const;

  it.each([undefined, 'Bearer', 'Bearer wrong', `Basic ${tokens.act}`, `Bearer ${tokens.act}x`])(
    'refuses %p with 401',
    async (authorization) => {
      const answer = await app.inject({ url: '/sources', ...(authorization && { headers: { authorization } }) });
      expect(answer.statusCode).toBe(401);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
      expect(answer.json()).toEqual({
        code: 'DITTO_AUTH_REQUIRED',
        message: expect.any(String),
        remedy: expect.stringContaining('Authorization'),
      });
    },
  );

  it('lets the role read look and not act', async () => {
    const answer = await app.inject({ url: '/sources', headers: bearer(tokens.look) });
    expect(answer.json()).toEqual({ actor: 'viewer', sources: ['shop'] });
    const refused = await app.inject({ ...pause, headers: bearer(tokens.look) });
    expect(refused.statusCode).toBe(403);
    expect(refused.json()).toMatchObject({ code: 'DITTO_AUTH_FORBIDDEN', remedy: expect.stringContaining('operate') });
    expect((await app.inject({ method: 'POST', url: '/sources/probe', headers: bearer(tokens.look) })).statusCode).toBe(
      201,
    );
  });

  it('lets the role operate act and look, and records the actor', async () => {
    expect((await app.inject({ url: '/sources', headers: bearer(tokens.act) })).statusCode).toBe(200);
    expect((await app.inject({ ...pause, headers: bearer(tokens.act) })).json()).toEqual({ paused: 'shop' });
    expect(app.get<MemoryAuditLog>(AuditLog).entries).toEqual([
      { actor: 'alice', action: 'source.pause', subject: 'shop', details: { reason: 'test', forMs: 5 } },
    ]);
  });

  it('asks for no token at its health, and for one at its metrics', async () => {
    expect((await app.inject('/health/live')).json()).toEqual({ status: 'ok' });
    expect((await app.inject('/health/ready')).statusCode).toBe(200);
    expect((await app.inject('/metrics')).statusCode).toBe(401);
    expect((await app.inject({ url: '/metrics', headers: bearer(tokens.look) })).statusCode).toBe(200);
  });

  it('refuses a bad body with every problem at once', async () => {
    const answer = await app.inject({ ...pause, payload: { raeson: 'x', forMs: 0 }, headers: bearer(tokens.act) });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'DITTO_REQUEST_INVALID', remedy: expect.any(String) });
    const { problems } = answer.json<{ problems: { path: string }[] }>();
    expect(problems.map(({ path }) => path).sort()).toEqual(['forMs', 'raeson', 'reason']);
  });

  it.each([
    ['/sources/fail/unknown', 500, 'DITTO_INTERNAL'],
    ['/sources/fail/busy', 503, 'DITTO_TEST_BUSY'],
    ['/sources/fail/conflict', 409, 'DITTO_TEST_CONFLICT'],
    ['/sources/fail/missing', 404, 'DITTO_REQUEST_NOT_FOUND'],
    ['/nowhere', 404, 'DITTO_REQUEST_NOT_FOUND'],
  ])('answers %s with %d %s', async (url, status, code) => {
    const answer = await app.inject({ url, headers: bearer(tokens.look) });
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ code, message: expect.any(String) });
    expect(answer.body).not.toContain('hunter2');
  });

  it('answers a body that is no JSON with a problem', async () => {
    const headers = { ...bearer(tokens.act), 'content-type': 'application/json' };
    const answer = await app.inject({ ...pause, payload: '{', headers });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ code: 'DITTO_REQUEST_INVALID' });
  });

  it('describes its API, which asks for a token', async () => {
    const document = (await app.inject('/docs-json')).json<{ paths: object; security: unknown; info: object }>();
    expect(Object.keys(document.paths)).toEqual(expect.arrayContaining(['/sources', '/health/ready', '/metrics']));
    expect(document).toMatchObject({ info: { title: 'Ditto DSS' }, security: [{ bearer: [] }] });
    expect((await app.inject('/docs')).statusCode).toBe(200);
  });

  it('writes no token into its log', () => {
    expect(logged.length).toBeGreaterThan(0);
    expect(logged.join('\n')).not.toContain(tokens.act);
    expect(logged.join('\n')).not.toContain(tokens.look);
  });
});

describe('a service without tokens', () => {
  let app: NestFastifyApplication;
  beforeAll(async () => {
    app = await start(FILE);
  });
  afterAll(() => app.close());

  it('lets everybody on the machine act, under the name local', async () => {
    expect((await app.inject('/sources')).json()).toMatchObject({ actor: 'local' });
  });

  it('shows metrics of the process and its own', async () => {
    const metrics = app.get(Metrics);
    metrics.counter('published_rows_total', 'Rows.', ['source']).inc({ source: 'shop' }, 7);
    metrics.gauge('lag_seconds', 'Lag.', [], (gauge) => gauge.set(1.5));
    metrics.histogram('kafka_latency_seconds', 'Latency.').observe(0.002);
    const answer = await app.inject('/metrics');
    expect(answer.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(answer.body).toContain('ditto_dss_published_rows_total{source="shop"} 7');
    expect(answer.body).toContain('ditto_dss_lag_seconds 1.5');
    expect(answer.body).toContain('ditto_dss_kafka_latency_seconds_bucket{le="0.0025"} 1');
    expect(answer.body).toContain('process_cpu_seconds_total');
    expect(answer.body.match(/^nodejs_eventloop_lag\w*/gm)).toEqual(['nodejs_eventloop_lag_seconds']);
  });

  it('is ready while its indicators are, and reports why when not', async () => {
    const indicator = app.get(SinkIndicator);
    expect((await app.inject('/health/ready')).json()).toMatchObject({ status: 'ok', info: { sink: { lagMs: 3 } } });
    indicator.failure = new DittoError('DITTO_TEST_BUSY', 'the sink is down', { remedy: 'Start it.' });
    let answer = await app.inject('/health/ready');
    // the last result is kept for a second
    while (answer.statusCode === 200) {
      await sleep(20);
      answer = await app.inject('/health/ready');
    }
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({
      status: 'error',
      error: { sink: { status: 'down', code: 'DITTO_TEST_BUSY', message: 'the sink is down', remedy: 'Start it.' } },
    });
    expect((await app.inject('/health/live')).statusCode).toBe(200);
    indicator.failure = null;
  });

  it('asks its servers once for all who ask within a second', async () => {
    const indicator = app.get(SinkIndicator);
    const before = indicator.checks;
    const beganAtMs = performance.now();
    await Promise.all(Array.from({ length: 200 }, () => app.inject('/health/ready')));
    for (let n = 0; n < 20; n++) await app.inject('/health/ready');
    const seconds = Math.ceil((performance.now() - beganAtMs) / 1000);
    expect(indicator.checks - before).toBeLessThanOrEqual(seconds + 1);
  });

  it('is alive and not ready once the shutdown has begun', async () => {
    app.get(Shutdown).begin('SIGTERM');
    const answer = await app.inject('/health/ready');
    expect(answer.statusCode).toBe(503);
    expect(answer.json()).toMatchObject({ status: 'shutting_down' });
    expect((await app.inject('/health/live')).statusCode).toBe(200);
  });

  it('is not created where others can reach it', async () => {
    const config = parseConfig(FILE);
    const open = { ...config, dss: { ...config.dss, http: { host: '0.0.0.0', port: 1 } } };
    const options = { name: 'dss', description: '', createModule: () => AppModule } as const;
    await expect(createService(options, open)).rejects.toMatchObject({ code: 'DITTO_AUTH_UNGUARDED' });
    await expect(createService({ ...options, rpc: { ...config.dcs.rpc, host: '::' } }, config)).rejects.toMatchObject({
      code: 'DITTO_AUTH_UNGUARDED',
    });
  });
});
