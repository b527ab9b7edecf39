import { type ServerHeartbeat } from '#dcs-client';

/** Whether DWS has reached the server since then. DCS that does not answer knows nothing against it. */
export async function isReachedByOthers(
  heartbeats: () => Promise<readonly ServerHeartbeat[]>,
  serverUuid: string | null,
  sinceMs: number,
): Promise<boolean> {
  const known = await heartbeats().catch(() => []);
  return known.some((one) => one.reachable && one.serverUuid === serverUuid && one.probedAtMs > sinceMs);
}
