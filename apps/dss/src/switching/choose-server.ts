import { type Checkpoint, GtidSet } from '#change-events';
import { formatEndpoint, type SourceConfig } from '#configuration';
import { type ServerHeartbeat } from '#dcs-client';
import { adviseResync, DittoError, sleep } from '#kernel';
import { type PendingSwitch } from '#replication';
import { findLoss, type Loss, LossWatch, missingOf } from './find-loss.ts';
import { isReachedByOthers } from './is-reached-by-others.ts';
import { judgeServers, type RefusedServer } from './judge-servers.ts';
import { type AnsweringServer, hasAnswered, type SurveyedServer, surveyServers } from './survey-servers.ts';

export interface ChooseServersOptions {
  readonly source: SourceConfig;
  /** The newest; null for a source that is seen for the first time. */
  readonly checkpoint: Checkpoint | null;
  readonly survey: (signal: AbortSignal) => Promise<readonly SurveyedServer[]>;
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
}

/** Index of an endpoint in the configuration, and how people call it. */
export type ChosenServer = Pick<SurveyedServer, 'index' | 'endpoint'>;

/** A server on which a source could not be opened, and until when it is not tried again. */
export interface OpeningRefusal extends RefusedServer {
  readonly untilMs: number;
}

const LOOK_EVERY_MS = 250;
/** Then another instance may try, which may reach other servers. */
const TRY_MS = 60_000;
/** A server that takes longer to answer a person's request does not answer. */
export const ANSWER_WITHIN_MS = 5_000;

/**
 * The server that a source may be opened on: the one that it was streamed from last (`isCurrent`), or, when that one does
 * not answer for `switch.afterMs`, one that may take its place. While there is none, that is reported; after a minute it
 * rejects with that (`DITTO_SOURCE_NO_SERVER`, retriable). With `switch.onLoss: heal` it is then one that lacks what is lost
 * (`loss`), once that has stood for `switch.waitMs`, and while DWS does not reach the server that was streamed.
 */
export async function chooseServer(
  options: ChooseServersOptions & {
    /** UUID of the server that this process has just left because it was lost; null when it left none. */
    readonly leftUuid: string | null;
    /** Whether the source is to be resynced: then nothing of what it has read need be there. */
    readonly startsOver: boolean;
    /** What others found of the servers of the source. */
    readonly heartbeats: () => Promise<readonly ServerHeartbeat[]>;
    /** Servers on which the source could not be opened. */
    readonly refused: readonly OpeningRefusal[];
    readonly onNoServer: (error: DittoError, refused: readonly RefusedServer[]) => void;
  },
): Promise<ChosenServer & { readonly isCurrent: boolean; readonly loss: Loss | null }> {
  const { source, checkpoint, leftUuid, startsOver, survey, heartbeats, onNoServer, signal, nowMs } = options;
  const currentUuid = checkpoint?.position.serverUuid ?? null;
  const judged = describeJudgement(source, checkpoint);
  const isManual = source.switch.mode === 'manual' && checkpoint !== null && !startsOver;
  const beganMs = nowMs();
  const losses = new LossWatch(source.switch.waitMs, nowMs);
  const heals = source.switch.onLoss === 'heal' && !isManual && checkpoint !== null;
  // a loss has to stand within one attempt
  const tryMs = heals ? Math.max(TRY_MS, source.switch.afterMs + 2 * source.switch.waitMs) : TRY_MS;
  const isLost = leftUuid !== null && leftUuid === currentUuid;
  for (;;) {
    const servers = await survey(signal);
    let { current, candidates, refused } = judgeServers(servers, judged);
    // one that misses nothing is better than one that has to be enough
    if (startsOver && candidates.length === 0)
      ({ current, candidates, refused } = judgeServers(servers, { ...judged, dispatchedSet: null }));
    if (current !== null) return { ...current, isCurrent: true, loss: null };
    const [first] = servers;
    if (checkpoint === null && first !== undefined && hasAnswered(first))
      return { ...first, isCurrent: true, loss: null };
    if (isLost || nowMs() - beganMs >= source.switch.afterMs) {
      const barred = options.refused.filter(({ untilMs }) => nowMs() < untilMs);
      const open = candidates.filter((server) => !barred.some(({ endpoint }) => endpoint === server.endpoint));
      if (open[0] !== undefined && !isManual) return { ...open[0], isCurrent: checkpoint === null, loss: null };
      const loss = losses.note(open.length > 0 || barred.length > 0 ? null : findLoss(refused));
      const lacking = heals && loss !== null ? servers.find(({ endpoint }) => endpoint === loss.endpoint) : undefined;
      if (lacking !== undefined && !(await isReachedByOthers(heartbeats, currentUuid, beganMs)))
        return { ...lacking, isCurrent: false, loss };
      const reasons = [...refused, ...barred];
      const error = noServer(source, currentUuid, reasons, open);
      if (nowMs() - beganMs >= tryMs) throw error;
      onNoServer(error, reasons);
    }
    await sleep(LOOK_EVERY_MS, signal);
  }
}

/**
 * Waits until the endpoint that an operator asked for may be switched to, for as long as that may come to pass, and not
 * longer than `switch.waitMs`. Rejects with why not: the error of that server, or `DITTO_SOURCE_ENDPOINT_UNKNOWN`.
 */
export async function awaitServer(
  options: ChooseServersOptions & Pick<PendingSwitch, 'to' | 'givesUp'>,
): Promise<ChosenServer> {
  const { source, checkpoint, to, givesUp, survey, signal, nowMs } = options;
  const deadlineMs = nowMs() + source.switch.waitMs;
  for (;;) {
    const servers = (await survey(signal)).filter(({ endpoint }) => endpoint === to);
    const { current, candidates, refused } = judgeServers(servers, describeJudgement(source, checkpoint, givesUp));
    const server = current ?? candidates[0];
    if (server !== undefined) return server;
    const [refusal] = refused;
    if (refusal === undefined) throw unknownEndpoint(source, to);
    if (!refusal.mayPass || nowMs() >= deadlineMs) throw refusal.error;
    await sleep(LOOK_EVERY_MS, signal);
  }
}

/** As `awaitServer`, for a source that streams on meanwhile. */
export async function awaitTarget(
  source: SourceConfig,
  to: string,
  checkpoint: Checkpoint,
  signal: AbortSignal,
): Promise<void> {
  const survey = (stop: AbortSignal): ReturnType<typeof surveyServers> => surveyServers(source, ANSWER_WITHIN_MS, stop);
  await awaitServer({ source, checkpoint, to, givesUp: '', survey, signal, nowMs: Date.now });
}

function describeJudgement({ acceptGtids }: SourceConfig, checkpoint: Checkpoint | null, givesUp = '') {
  const currentUuid = checkpoint?.position.serverUuid ?? null;
  if (checkpoint === null) return { currentUuid, dispatchedSet: null, acceptGtids };
  const dispatchedSet = GtidSet.parse(checkpoint.dispatchedSet).subtract(GtidSet.parse(givesUp)).toString();
  return { currentUuid, dispatchedSet, acceptGtids };
}

/**
 * Why these transactions can't be given up so that a source continues on that endpoint; null when they are all that it
 * lacks, and nobody has them.
 */
export async function findLossRefusal(
  source: SourceConfig,
  { endpoint: to, gtids }: Loss,
  checkpoint: Checkpoint | null,
  survey: ChooseServersOptions['survey'],
  signal: AbortSignal,
): Promise<DittoError | null> {
  const servers = await survey(signal);
  const asked = servers.filter(({ endpoint }) => endpoint === to);
  if (asked.length === 0) return unknownEndpoint(source, to);
  const { dispatchedSet, acceptGtids } = describeJudgement(source, checkpoint);
  // the server that was streamed may have lost transactions itself
  const judge = (given: string | null) =>
    judgeServers(asked, { currentUuid: null, dispatchedSet: given, acceptGtids }).refused[0];
  const holder = findHolder(source, checkpoint, servers);
  const refusal = judge(dispatchedSet);
  if (holder !== undefined || refusal === undefined) return nothingLost(source, holder?.endpoint ?? to);
  if (refusal.error.code !== 'DITTO_SOURCE_GTIDS_MISSING') return refusal.error;
  const missing = missingOf(refusal.error);
  if (asked.some((server) => isReceived(missing, server))) return refusal.error;
  const given = GtidSet.parse(gtids);
  if (!given.equals(GtidSet.parse(missing))) return lossDiffers(to, missing, given.toString());
  return judge(describeJudgement(source, checkpoint, gtids).dispatchedSet)?.error ?? null;
}

/**
 * Whether nothing is lost any more: the loss that was to be given up by itself, to continue on that endpoint, is judged by
 * the servers as they are now, and by what DWS has found since `seenSinceMs` (null: that was just looked at). False where
 * the source is there already: then it was given up, and is to be finished.
 */
export async function isLossOver(
  { source, checkpoint, survey, signal }: ChooseServersOptions,
  to: string,
  {
    heartbeats,
    seenSinceMs,
  }: { readonly heartbeats: () => Promise<readonly ServerHeartbeat[]>; readonly seenSinceMs: number | null },
): Promise<boolean> {
  const currentUuid = checkpoint?.position.serverUuid ?? null;
  const servers = await survey(signal);
  const holder = findHolder(source, checkpoint, servers);
  if (holder !== undefined) return holder.endpoint !== to || holder.answer.serverUuid !== currentUuid;
  // one that answers has lost transactions itself, or is the one that the source is on
  const answers = servers.some((server) => hasAnswered(server) && server.answer.serverUuid === currentUuid);
  return !answers && seenSinceMs !== null && (await isReachedByOthers(heartbeats, currentUuid, seenSinceMs));
}

/** A server that has all that was given to the sinks: the one that was streamed, or one that may take its place. */
function findHolder(
  source: SourceConfig,
  checkpoint: Checkpoint | null,
  servers: readonly SurveyedServer[],
): AnsweringServer | undefined {
  const judged = describeJudgement(source, checkpoint);
  const { current, candidates } = judgeServers(servers, judged);
  const dispatched = GtidSet.parse(judged.dispatchedSet ?? '');
  const isWhole = current !== null && GtidSet.parse(current.answer.gtidExecuted).contains(dispatched);
  return isWhole ? current : candidates[0];
}

/** A replica that has received what it lacks has it when it has applied that. */
function isReceived(missing: string, server: SurveyedServer): boolean {
  if (!hasAnswered(server) || server.answer.replica === null) return false;
  return !GtidSet.parse(server.answer.replica.notYetApplied).intersect(GtidSet.parse(missing)).isEmpty;
}

function nothingLost({ name }: SourceConfig, endpoint: string): DittoError {
  return new DittoError('DITTO_SOURCE_NOTHING_LOST', `no loss is known of ${name}: ${endpoint} has all that was read`, {
    remedy: `Move the source there, if it is not: npm run ditto -- switch --source ${name} --to ${endpoint}. A server that is to be given up with what only it has must be stopped first.`,
  });
}

export function lossDiffers(endpoint: string, missing: string, given: string): DittoError {
  return new DittoError(
    'DITTO_SOURCE_LOSS_DIFFERS',
    `what ${endpoint} lacks is ${missing}, and what is to be given up is ${given === '' ? 'nothing' : given}`,
    { remedy: 'See what these transactions are, and ask again with exactly these.', context: { missing, given } },
  );
}

/** Why a source that is streamed up to `checkpoint` can't be switched to that endpoint; null when it can, or may soon. */
export async function findRefusal(
  source: SourceConfig,
  to: string,
  checkpoint: Checkpoint | null,
  signal: AbortSignal,
): Promise<DittoError | null> {
  const servers = (await surveyServers(source, ANSWER_WITHIN_MS, signal)).filter(({ endpoint }) => endpoint === to);
  if (servers.length === 0) return unknownEndpoint(source, to);
  const { current, refused } = judgeServers(servers, describeJudgement(source, checkpoint));
  if (current !== null || source.endpoints.length === 1)
    return new DittoError('DITTO_SOURCE_SWITCH_IDLE', `${source.name} is streamed from ${to} already`, {
      remedy: 'Name another of its endpoints.',
    });
  const [refusal] = refused;
  return refusal === undefined || (refusal.mayPass && refusal.error.code === 'DITTO_SOURCE_GTIDS_MISSING')
    ? null
    : refusal.error;
}

function unknownEndpoint({ name, endpoints }: SourceConfig, endpoint: string): DittoError {
  return new DittoError('DITTO_SOURCE_ENDPOINT_UNKNOWN', `${name} has no endpoint ${endpoint}`, {
    remedy: `Its endpoints are ${endpoints.map(formatEndpoint).join(', ')}.`,
  });
}

function noServer(
  { name, switch: { mode } }: SourceConfig,
  currentUuid: string | null,
  refused: readonly RefusedServer[],
  candidates: readonly ChosenServer[],
): DittoError {
  const isManual = mode === 'manual';
  const reasons = [
    ...refused.map(({ endpoint, error }) => `${endpoint}: ${error.message} (${error.code})`),
    ...candidates.map(({ endpoint }) => `${endpoint}: could take its place, but switch.mode is manual`),
  ];
  const lost = currentUuid === null ? 'no server' : `the server ${currentUuid}, from which ${name} was streamed,`;
  return new DittoError(
    'DITTO_SOURCE_NO_SERVER',
    `${lost} ${currentUuid === null ? `of ${name} answers` : 'does not answer, and no other takes its place'}: ${reasons.join('; ')}`,
    {
      retriable: true,
      remedy: `Bring the server back, or have another one carry the cluster on (see each reason)${isManual ? `, or name one: npm run ditto -- switch --source ${name} --to HOST:PORT` : ''}. It continues by itself as soon as one of them can be used. Where what is missing is lost for good: npm run ditto -- accept-loss --source ${name} --server HOST:PORT --gtids SET; or ${adviseResync(name)}.`,
      context: { source: name, serverUuid: currentUuid },
    },
  );
}
