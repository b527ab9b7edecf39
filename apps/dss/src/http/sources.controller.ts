import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBody, ApiConflictResponse, ApiOperation, ApiQuery, ApiTags } from '@nestjs/swagger';
import { GtidSet } from '#change-events';
import { type DittoConfig, type SourceConfig } from '#configuration';
import { type DittoError } from '#kernel';
import { Actor, assertKnownSource, AuditLog, InjectConfig, RequestError, SchemaPipe } from '#platform';
import { z } from 'zod';
import { DcsClient } from '#dcs-client';
import { SourceStores } from '../connections/source-stores.ts';
import { newestCheckpoint } from '../opening/starting-point.ts';
import { snapshotsOff } from '../opening/resync.ts';
import { type SourceStatus } from '../sources/source-status.ts';
import { type SourceSupervisor } from '../sources/source-supervisor.ts';
import { SourceRegistry } from '../sources/source-registry.ts';
import { chooseInstance, type InstanceDirectory } from '../sharing/choose-instance.ts';
import { ANSWER_WITHIN_MS, findLossRefusal, findRefusal } from '../switching/choose-server.ts';
import { surveyServers } from '../switching/survey-servers.ts';
import {
  LogAcceptedDto,
  LossAcceptedDto,
  LossOrderDto,
  MoveOrderDto,
  MovingDto,
  RestartedDto,
  ResyncDto,
  RewindDto,
  SourceDto,
  SourcesDto,
  SourceTablesDto,
  SwitchingDto,
  SwitchOrderDto,
} from './source.dto.ts';

const tablesQuerySchema = z.strictObject({
  from: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});
const switchSchema = z.strictObject({ to: z.string().min(1).max(300) });
const lossSchema = z.strictObject({
  server: z.string().min(1).max(300),
  gtids: z.string().max(10_000).refine(isGtidSet, 'must be a GTID set, as the status of the source names it'),
});
type LossOrder = z.infer<typeof lossSchema>;
const moveSchema = z.strictObject({ to: z.string().min(1).max(255).nullable() });
type MoveOrder = z.infer<typeof moveSchema>;
type SwitchOrder = z.infer<typeof switchSchema>;
type TablesQuery = z.infer<typeof tablesQuerySchema>;

@ApiTags('sources')
@Controller('sources')
export class SourcesController {
  readonly #sources: SourceRegistry;
  readonly #audit: AuditLog;
  readonly #stores: Pick<SourceStores, 'dcs' | 'state' | 'placements'>;
  readonly #dcs: InstanceDirectory;
  readonly #config: DittoConfig;

  constructor(
    sources: SourceRegistry,
    audit: AuditLog,
    { dcs, state, placements }: SourceStores,
    directory: DcsClient,
    @InjectConfig() config: DittoConfig,
  ) {
    this.#sources = sources;
    this.#audit = audit;
    this.#stores = { dcs, state, placements };
    this.#dcs = directory;
    this.#config = config;
  }

  @Get()
  @ApiOperation({ summary: 'All sources, as this instance sees them' })
  list(): SourcesDto {
    return { sources: this.#sources.status().map(toDto) };
  }

  @Get(':source')
  @ApiOperation({ summary: 'One source' })
  find(@Param('source') source: string): SourceDto {
    return toDto(this.#supervisor(source).status());
  }

  @Get(':source/tables')
  @ApiOperation({ summary: 'How far the copy of each table is, in pages' })
  @ApiQuery({ name: 'from', required: false, type: Number, description: 'Index of the first; 0 by default' })
  @ApiQuery({ name: 'limit', required: false, type: Number, description: 'Most tables; 100 by default, at most 1000' })
  listTables(
    @Param('source') source: string,
    @Query(new SchemaPipe(tablesQuerySchema)) { from, limit }: TablesQuery,
  ): SourceTablesDto {
    const supervisor = this.#supervisor(source);
    return { tables: [...supervisor.listTables(from, limit)], total: supervisor.status().snapshotTables.total };
  }

  @Post(':source/restart')
  @HttpCode(200)
  @ApiOperation({ summary: 'Try a source again that has stopped and waits for an operator' })
  async restart(@Param('source') source: string, @Actor() actor: string): Promise<RestartedDto> {
    const supervisor = this.#supervisor(source);
    const { state, error } = supervisor.status();
    if (state !== 'failed')
      throw new RequestError(
        409,
        'DITTO_SOURCE_NOT_STOPPED',
        `${source} does not wait for an operator: it is ${state}`,
        {
          remedy: `Ask the instance that owns the source: npm run ditto -- restart --source ${source} finds it.`,
        },
      );
    await this.#audit.record({ actor, action: 'source.restart', subject: source, details: { after: error } });
    supervisor.restart();
    return { restarted: source };
  }

  @Post(':source/resync')
  @HttpCode(202)
  @ApiOperation({
    summary:
      'Start a source again: end all its rows in the sinks, continue from where the server is now, read every row again',
  })
  @ApiConflictResponse({
    description: 'This instance does not own the source, or it neither runs nor waits for an operator',
  })
  async resync(@Param('source') source: string, @Actor() actor: string): Promise<ResyncDto> {
    const supervisor = this.#supervisor(source);
    const { state, owner, lineage, checkpoint, error } = supervisor.status();
    if (owner === null) throw notOwned(source);
    if (!isSettled(supervisor.status()))
      throw new RequestError(409, 'DITTO_SOURCE_NOT_SETTLED', `${source} can't be resynced now: it is ${state}`, {
        remedy: 'Ask again when it is streaming or failed.',
      });
    if (this.#config.sources[source]?.snapshot.mode === 'none') throw snapshotsOff(source);
    const details = { lineage, position: checkpoint?.position ?? null, after: error };
    await this.#audit.record({ actor, action: 'source.resync', subject: source, details });
    if (!(await supervisor.resync(actor))) throw notOwned(source);
    return { resyncing: source };
  }

  @Post(':source/rewind')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Stream again from before what Kafka has lost of confirmed messages (DITTO_KAFKA_CONFIRMED_LOST)',
  })
  @ApiConflictResponse({ description: 'This instance does not own the source, or nothing of it is known to be lost' })
  async rewind(@Param('source') source: string, @Actor() actor: string): Promise<RewindDto> {
    const supervisor = this.#supervisor(source);
    const { owner, lineage, checkpoint, error, state } = supervisor.status();
    if (owner === null) throw notOwned(source, 'rewind');
    if (state !== 'failed' || error?.code !== 'DITTO_KAFKA_CONFIRMED_LOST')
      throw new RequestError(409, 'DITTO_SOURCE_NOTHING_LOST', `no loss is known of ${source}: it is ${state}`, {
        remedy:
          'Only a source that has stopped with DITTO_KAFKA_CONFIRMED_LOST is rewound; see the error in its status. To have all rows again: resync.',
      });
    const details = { lineage, position: checkpoint?.position ?? null, after: error };
    await this.#audit.record({ actor, action: 'source.rewind', subject: source, details });
    if (!(await supervisor.rewind(actor))) throw notOwned(source, 'rewind');
    return { rewinding: source };
  }

  @Post(':source/accept-log')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Continue in a log that can not be proven to be the one that was read (DITTO_SOURCE_LOG_UNPROVEN)',
  })
  @ApiConflictResponse({ description: 'This instance does not own the source, or it does not wait for that' })
  async acceptLog(@Param('source') source: string, @Actor() actor: string): Promise<LogAcceptedDto> {
    const supervisor = this.#supervisor(source);
    const { owner, lineage, checkpoint, error, state, refusedServers } = supervisor.status();
    if (owner === null) throw notOwned(source, 'accept-log');
    // also what a switch, or the loss that it gave up, has failed for; the source has another reason to stop meanwhile
    const doubts = [...refusedServers, state === 'failed' ? error : null, supervisor.switchError];
    if (!doubts.some((doubt) => doubt?.code === 'DITTO_SOURCE_LOG_UNPROVEN'))
      throw new RequestError(
        409,
        'DITTO_SOURCE_LOG_NOT_IN_DOUBT',
        `the log of ${source} is not in doubt: it is ${state}`,
        {
          remedy:
            'This is possible only for a source that has stopped, or could not be switched, with DITTO_SOURCE_LOG_UNPROVEN; see the error in its status.',
        },
      );
    const details = { lineage, position: checkpoint?.position ?? null, after: error };
    await this.#audit.record({ actor, action: 'source.accept-log', subject: source, details });
    if (!(await supervisor.acceptLog(actor))) throw notOwned(source, 'accept-log');
    return { accepted: source };
  }

  @Post(':source/switch')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Move a source to another of its endpoints: drain, prove that it can continue there, continue',
  })
  @ApiConflictResponse({
    description: 'This instance does not own the source, or the source can not continue on that server',
  })
  @ApiBody({ type: SwitchOrderDto })
  async switchTo(
    @Param('source') source: string,
    @Body(new SchemaPipe(switchSchema)) { to }: SwitchOrder,
    @Actor() actor: string,
  ): Promise<SwitchingDto> {
    const supervisor = this.#supervisor(source);
    const { state, owner, server, checkpoint, error } = supervisor.status();
    if (owner === null) throw notOwned(source, 'switch');
    if (!isSettled(supervisor.status()))
      throw new RequestError(409, 'DITTO_SOURCE_NOT_SETTLED', `${source} can't be switched now: it is ${state}`, {
        remedy: 'Ask again when it is streaming or failed.',
      });
    const config = this.#config.sources[source] as SourceConfig;
    const stored = checkpoint ?? (await newestCheckpoint({ grant: { source }, ...this.#stores }));
    throwRefusal(await findRefusal(config, to, stored, new AbortController().signal));
    const details = { to, from: server, after: error };
    await this.#audit.record({ actor, action: 'source.switch', subject: source, details });
    if (!(await supervisor.switchTo(to, actor))) throw notOwned(source, 'switch');
    return { switching: source, to };
  }

  @Post(':source/accept-loss')
  @HttpCode(202)
  @ApiOperation({
    summary:
      'Continue on a server that lacks transactions which are lost for good: give these up, read again what they may have changed',
  })
  @ApiConflictResponse({
    description: 'This instance does not own the source, or that is not what the server lacks, or not lost',
  })
  @ApiBody({ type: LossOrderDto })
  async acceptLoss(
    @Param('source') source: string,
    @Body(new SchemaPipe(lossSchema)) { server: endpoint, gtids }: LossOrder,
    @Actor() actor: string,
  ): Promise<LossAcceptedDto> {
    const supervisor = this.#supervisor(source);
    const { owner, server, checkpoint, error } = supervisor.status();
    if (owner === null) throw notOwned(source, 'accept-loss');
    const config = this.#config.sources[source] as SourceConfig;
    const stored = checkpoint ?? (await newestCheckpoint({ grant: { source }, ...this.#stores }));
    const { signal } = new AbortController();
    const survey = (stop: AbortSignal): ReturnType<typeof surveyServers> =>
      surveyServers(config, ANSWER_WITHIN_MS, stop);
    throwRefusal(await findLossRefusal(config, { endpoint, gtids }, stored, survey, signal));
    if (config.snapshot.mode === 'none') throw snapshotsOff(source);
    const details = { to: endpoint, from: server, gtids, after: error };
    await this.#audit.record({ actor, action: 'source.accept-loss', subject: source, details });
    if (!(await supervisor.acceptLoss({ endpoint, gtids }, actor))) throw notOwned(source, 'accept-loss');
    return { switching: source, to: endpoint, gtids };
  }

  @Post(':source/move')
  @HttpCode(202)
  @ApiOperation({
    summary:
      'Place a source on an instance of DSS: its owner drains it and hands it over. Any instance takes the order; it stays there while that instance lives',
  })
  @ApiConflictResponse({ description: 'There is no such instance, or nobody has run the source yet' })
  @ApiBody({ type: MoveOrderDto })
  async move(
    @Param('source') source: string,
    @Body(new SchemaPipe(moveSchema)) { to }: MoveOrder,
    @Actor() actor: string,
  ): Promise<MovingDto> {
    assertKnownSource(this.#config, source);
    const target = to === null ? null : chooseInstance(await this.#dcs.listServices(), source, to);
    const from = (await this.#dcs.listLeases()).find((lease) => lease.source === source)?.owner ?? null;
    await this.#audit.record({ actor, action: 'source.move', subject: source, details: { to: target, from } });
    const placement = target === null ? null : { instance: target, placedBy: actor };
    if (!(await this.#stores.placements.place(source, placement)))
      throw new RequestError(409, 'DITTO_SOURCE_NOT_OWNED', `no instance has run ${source} yet`, {
        remedy: 'Ask again when GET /leases of DCS names the source.',
      });
    this.#sources.lookAtShares();
    return { moving: source, to: target, from };
  }

  #supervisor(source: string): SourceSupervisor {
    assertKnownSource(this.#config, source);
    const supervisor = this.#sources.find(source);
    if (supervisor === undefined) throw new Error(`the source ${source} is not supervised`);
    return supervisor;
  }
}

function throwRefusal(refusal: DittoError | null): void {
  if (refusal === null) return;
  const { code, message, remedy } = refusal;
  throw new RequestError(409, code, message, { ...(remedy !== null && { remedy }) });
}

function isGtidSet(text: string): boolean {
  try {
    return !GtidSet.parse(text).isEmpty;
  } catch {
    return false;
  }
}

function notOwned(source: string, command = 'resync'): RequestError {
  return new RequestError(409, 'DITTO_SOURCE_NOT_OWNED', `this instance does not own ${source}`, {
    remedy: `Ask the instance that does: npm run ditto -- ${command} --source ${source} finds it.`,
  });
}

/** Whether the source runs, or waits for something that an operator can change. */
function isSettled({ state, error }: SourceStatus): boolean {
  return state === 'failed' || state === 'streaming' || error?.code === 'DITTO_SOURCE_NO_SERVER';
}

/** The statuses are plain data; the DTO classes are their description. */
function toDto(status: ReturnType<SourceSupervisor['status']>): SourceDto {
  const { snapshot, waits, refusedServers, quarantine } = status;
  return {
    ...status,
    snapshot: [...snapshot],
    waits: [...waits],
    refusedServers: [...refusedServers],
    quarantine: [...quarantine],
  };
}
