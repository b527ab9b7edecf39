import { askTlsRefusal, type ClientTls, type DittoError, expectTlsPeer, TlsErrors } from '#kernel';
import { mongo } from 'mongoose';

const tlsErrors = new TlsErrors({ code: 'DITTO_MONGO_TLS_FAILED', server: 'MongoDB', option: 'mongo.tls' });

const OP_MSG = 2013;
const HELLO = encodeHello();

/** A member of the topology that the driver could not connect to, as the driver describes it. */
interface Member {
  readonly host: string;
  readonly port: number;
  readonly error: unknown;
}

/** Throws `DITTO_MONGO_TLS_FAILED` for texts that are not certificates or keys. */
export function toDriverTls(tls: ClientTls): mongo.MongoClientOptions {
  const { ca, cert, key, servername, rejectUnauthorized = true } = tls;
  tlsErrors.assertUsable(tls);
  return {
    tls: true,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    rejectUnauthorized,
    // without one the driver expects of each member the host that it connects to
    ...(servername !== undefined && expectTlsPeer(servername)),
  };
}

/** Null for any other error, and where a member is only away: it may come back before the others have new certificates. */
export function findTlsError(error: unknown): DittoError | null {
  const members = listMembers(error);
  return theirCommon(members.length === 0 ? [findInChain(error)] : members.map((member) => findInChain(member.error)));
}

/**
 * The reason of members that cut the driver off, which writes at once: one that wants another client certificate, or has
 * no TLS, reports it to a connection that sends nothing.
 */
export async function askMembers(error: unknown, tls: ClientTls): Promise<DittoError | null> {
  const refusals = listMembers(error).map(async ({ host, port }) => {
    const { servername, ...others } = tls;
    const peer = expectTlsPeer(host, servername);
    return tlsErrors.classify(await askTlsRefusal({ host, port, tls: { ...others, ...peer }, plainPing: HELLO }));
  });
  return theirCommon(await Promise.all(refusals));
}

function theirCommon(found: readonly (DittoError | null)[]): DittoError | null {
  return found.includes(null) ? null : (found[0] ?? null);
}

/** By shape: an error of Node's core may come from another realm than this module's `Error`. */
function findInChain(error: unknown): DittoError | null {
  if (typeof error !== 'object' || error === null) return null;
  return tlsErrors.classify(error) ?? findInChain((error as { readonly cause?: unknown }).cause);
}

function listMembers(error: unknown): readonly Member[] {
  const { reason } = (error ?? {}) as { readonly reason?: { readonly servers?: unknown } };
  if (!(reason?.servers instanceof Map)) return [];
  return [...(reason.servers as ReadonlyMap<string, Member>).values()]
    .filter((member) => member.error !== null)
    .map(({ host, port, error: cause }) => ({ host: host.replace(/^\[|\]$/g, ''), port, error: cause }));
}

/** The first thing that a driver says (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/). */
function encodeHello(): Uint8Array {
  const body = mongo.BSON.serialize({ hello: 1, $db: 'admin' });
  const message = new Uint8Array(21 + body.length);
  const view = new DataView(message.buffer);
  view.setInt32(0, message.length, true);
  view.setInt32(4, 1, true);
  view.setInt32(12, OP_MSG, true);
  message.set(body, 21);
  return message;
}
