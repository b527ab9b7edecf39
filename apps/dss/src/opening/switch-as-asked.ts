import { type DittoError, toDittoError } from '#kernel';
import { type PendingSwitch } from '#replication';
import {
  awaitServer,
  type ChosenServer,
  type ChooseServersOptions,
  isLossOver,
  type OpeningRefusal,
} from '../switching/choose-server.ts';
import { findServer, standsStill } from '../switching/find-ahead.ts';
import { isOfServer } from './is-of-server.ts';

export interface AskedSwitchOptions<Run> {
  readonly pending: PendingSwitch;
  /** By the newest checkpoint. */
  readonly describe: () => Promise<ChooseServersOptions>;
  /** Gets the server, where it was opened in vain. */
  readonly refused: OpeningRefusal[];
  readonly seen: Parameters<typeof isLossOver>[2];
  /** Opens the source there, and finishes the switch. */
  readonly openOn: (server: ChosenServer) => Promise<Run>;
  /** The switch is not to be done any more. */
  readonly finish: () => Promise<void>;
  /** Why it could not be done. `from`: UUID of the server that the source stays with. */
  readonly onFailed: (from: string, error: DittoError) => void;
}

/** How long a server is not tried again on which a source could not be opened. */
export const BARRED_MS = 60_000;

/**
 * Does a switch that was asked for; null when it can't be done, or what Ditto itself decided has no reason any more: then
 * all stays as it was, and the server is among those that are `refused` if a loss was to be given up there. What may work
 * later rejects, and the switch stays pending, unless it is a server that stands still that was to be left: that one serves
 * until another one can be opened.
 */
export async function switchAsAsked<Run>(options: AskedSwitchOptions<Run>): Promise<Run | null> {
  const { pending, describe, refused, seen, openOn, finish, onFailed } = options;
  const { to, askedBy, givesUp } = pending;
  const choice = await describe();
  const from = choice.checkpoint?.position.serverUuid ?? '';
  const leavesStandstill = askedBy === null && givesUp === '';
  // it was found by servers that may be back, or follow again, since
  if (askedBy === null && (leavesStandstill ? await isFollowing(choice) : await isLossOver(choice, to, seen))) {
    await finish();
    return null;
  }
  let server: ChosenServer | null = null;
  try {
    server = await awaitServer({ ...choice, to, givesUp });
    return await openOn(server);
  } catch (cause) {
    choice.signal.throwIfAborted();
    const error = toDittoError(cause);
    if (error.code === 'DITTO_LEASE_FENCED') throw cause;
    const maySucceed = server !== null && error.retriable;
    if (maySucceed && !(leavesStandstill && isOfServer(error) && (await answers(await describe(), from)))) throw cause;
    if (server !== null && givesUp !== '')
      refused.push({ endpoint: to, error, mayPass: false, untilMs: Date.now() + BARRED_MS });
    await finish();
    onFailed(from, error);
    return null;
  }
}

/** Whether the server of the checkpoint shows changes, so that nothing is gained by leaving it. */
async function isFollowing({ checkpoint, survey, signal }: ChooseServersOptions): Promise<boolean> {
  const current = findServer(await survey(signal), checkpoint?.position.serverUuid);
  return current !== undefined && !standsStill(current.answer);
}

/** Whether the source is on that server still, and can continue there. */
async function answers({ checkpoint, survey, signal }: ChooseServersOptions, serverUuid: string): Promise<boolean> {
  return checkpoint?.position.serverUuid === serverUuid && findServer(await survey(signal), serverUuid) !== undefined;
}
