import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiConflictResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { parseTableName, readRowScope, type TableName } from '#change-events';
import { type DittoConfig } from '#configuration';
import {
  Actor,
  assertKnownSource,
  AuditLog,
  hasOneScope,
  InjectConfig,
  ONE_SCOPE,
  RequestError,
  rowScopeShape,
  SchemaPipe,
} from '#platform';
import { type RunRecord, type RunScope, type RunState, VerificationRunStore } from '#verification';
import { z } from 'zod';
import { describeRun, summarizeRun } from '../verification/describe-run.ts';
import { VerificationJobs } from '../verification/verification-jobs.ts';
import { VerificationRuns } from '../verification/verification-runs.ts';
import { chooseSources } from './source-query.ts';
import {
  VerificationDetailsDto,
  type VerificationDto,
  VerificationOrderDto,
  VerificationsDto,
} from './verification.dto.ts';

const tableName = z.string().transform((text, context): TableName => {
  const table = parseTableName(text);
  if (table !== null) return table;
  context.addIssue("must be 'database.table'");
  return z.NEVER;
});

const orderSchema = z
  .strictObject({
    id: z.uuid().optional(),
    source: z.string().min(1),
    tables: z.array(tableName).min(1).max(1000).optional(),
    ...rowScopeShape,
    sinks: z.array(z.string().min(1)).min(1).optional(),
    rowsPerSecond: z.int().min(1).max(10_000_000).optional(),
    secondWayShare: z.number().min(0).max(1).optional(),
  })
  .refine(hasOneScope, ONE_SCOPE)
  .refine(
    ({ tables, keys, range, where }) => tables?.length === 1 || [keys, range, where].every((one) => one === undefined),
    'takes keys, range and where together with exactly one table',
  );
type Order = z.output<typeof orderSchema>;

const listSchema = z.strictObject({
  source: z.string().min(1).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(20),
});
type ListQuery = z.output<typeof listSchema>;

const OPEN: readonly RunState[] = ['running', 'paused'];

@ApiTags('verifications')
@Controller('verifications')
export class VerificationsController {
  readonly #config: DittoConfig;
  readonly #store: VerificationRunStore;
  readonly #runs: VerificationRuns;
  readonly #jobs: VerificationJobs;
  readonly #audit: AuditLog;

  constructor(
    @InjectConfig() config: DittoConfig,
    store: VerificationRunStore,
    runs: VerificationRuns,
    jobs: VerificationJobs,
    audit: AuditLog,
  ) {
    this.#config = config;
    this.#store = store;
    this.#runs = runs;
    this.#jobs = jobs;
    this.#audit = audit;
  }

  @Post()
  @HttpCode(202)
  @ApiOperation({
    summary:
      'Compare the sinks of a source with it: all tables, some, or rows of one by their keys, a range of keys or a filter',
  })
  @ApiBody({ type: VerificationOrderDto })
  async begin(
    @Body(new SchemaPipe(orderSchema)) order: Order,
    @Actor() actor: string,
  ): Promise<VerificationDetailsDto> {
    const { id, source, sinks, rowsPerSecond = null, secondWayShare } = order;
    assertKnownSource(this.#config, source);
    const scope = readScope(order);
    await this.#audit.record({ actor, action: 'verification.begin', subject: source, details: { ...order } });
    const ordered = {
      ...(id && { id }),
      source,
      scope,
      ...(sinks && { sinks }),
      trigger: 'request',
      actor,
      rowsPerSecond,
      ...(secondWayShare !== undefined && { secondWayShare }),
    } as const;
    const { run, due } = await this.#runs.begin(ordered);
    this.#jobs.announce(due);
    return this.#describe(run);
  }

  @Get()
  @ApiOperation({ summary: 'The last runs of verification, the newest first' })
  @ApiQuery({ name: 'source', required: false, description: 'Only this source' })
  @ApiQuery({ name: 'limit', required: false, type: Number, description: 'Most runs; 20 by default, at most 200' })
  async list(@Query(new SchemaPipe(listSchema)) { source, limit }: ListQuery): Promise<VerificationsDto> {
    chooseSources(this.#config, source);
    const runs = await this.#store.list(source === undefined ? {} : { source }, limit);
    const now = Date.now();
    const verifications: VerificationDto[] = [];
    // one after the other: the tables of many runs together can be too much memory
    for (const run of runs) verifications.push(summarizeRun(run, await this.#store.listTables(run.id), now));
    return { verifications };
  }

  @Get(':id')
  @ApiOperation({ summary: 'One run, with its tables' })
  async find(@Param('id') id: string): Promise<VerificationDetailsDto> {
    return this.#describe(await this.#find(id));
  }

  @Post(':id/pause')
  @HttpCode(200)
  @ApiOperation({ summary: 'Begin no more chunks of the run until it is resumed' })
  @ApiConflictResponse({ description: 'It is not running' })
  pause(@Param('id') id: string, @Actor() actor: string): Promise<VerificationDetailsDto> {
    return this.#change(id, 'pause', ['running'], 'paused', actor);
  }

  @Post(':id/resume')
  @HttpCode(200)
  @ApiOperation({ summary: 'Continue a run that was paused' })
  @ApiConflictResponse({ description: 'It is not paused' })
  resume(@Param('id') id: string, @Actor() actor: string): Promise<VerificationDetailsDto> {
    return this.#change(id, 'resume', ['paused'], 'running', actor);
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @ApiOperation({ summary: 'End a run; what it has found stays' })
  @ApiConflictResponse({ description: 'It has ended' })
  cancel(@Param('id') id: string, @Actor() actor: string): Promise<VerificationDetailsDto> {
    return this.#change(id, 'cancel', OPEN, 'cancelled', actor);
  }

  async #change(
    id: string,
    action: string,
    from: readonly RunState[],
    to: RunState,
    actor: string,
  ): Promise<VerificationDetailsDto> {
    const { source } = await this.#find(id);
    await this.#audit.record({ actor, action: `verification.${action}`, subject: source, details: { run: id } });
    const isChanged = await this.#store.changeState(id, from, to);
    const run = await this.#find(id);
    if (!isChanged)
      throw new RequestError(409, 'DITTO_VERIFICATION_STATE', `the run ${id} is ${run.state}`, {
        remedy: `Only a run that is ${from.join(' or ')} can be asked for that.`,
      });
    return this.#describe(run);
  }

  async #find(id: string): Promise<RunRecord> {
    const run = await this.#store.find(id);
    if (run !== null) return run;
    throw new RequestError(404, 'DITTO_VERIFICATION_UNKNOWN', `there is no run ${id}`, {
      remedy: 'GET /verifications lists the last ones; old ones are removed.',
    });
  }

  async #describe(run: RunRecord): Promise<VerificationDetailsDto> {
    return describeRun(run, await this.#store.listTables(run.id), Date.now());
  }
}

function readScope(order: Order): RunScope {
  const { tables } = order;
  if (tables === undefined) return { kind: 'source' };
  const [first] = tables;
  const rows = readRowScope(order);
  return rows === null || first === undefined ? { kind: 'tables', tables } : { ...rows, ...first };
}
