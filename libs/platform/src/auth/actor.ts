import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { RequestError } from '../http/request-error.ts';
import { type Role } from '#configuration';

/** Who makes a request. */
export interface RequestActor {
  /** Name of the token; `local` when none is configured and only this machine can ask. */
  readonly name: string;
  readonly roles: readonly Role[];
}

const actors = new WeakMap<object, RequestActor>();

/** The HTTP request, or the envelope of an RPC message. */
export function carrierOf(context: ExecutionContext): unknown {
  return context.getType() === 'rpc'
    ? context.switchToRpc().getData<unknown>()
    : context.switchToHttp().getRequest<unknown>();
}

export function rememberActor(carrier: object, actor: RequestActor): void {
  actors.set(carrier, actor);
}

/** Null for a carrier that the guard has not seen, or whose token it does not know. */
export function findActor(carrier: unknown): RequestActor | null {
  return (typeof carrier === 'object' && carrier !== null ? actors.get(carrier) : null) ?? null;
}

export function actorOf(context: ExecutionContext): RequestActor {
  const actor = findActor(carrierOf(context));
  if (actor) return actor;
  throw new RequestError(401, 'DITTO_AUTH_REQUIRED', 'Nobody is known to make this request');
}

/** The name under which the action of a handler is recorded: `@Actor() actor: string`. */
export const Actor = createParamDecorator((_data: unknown, context: ExecutionContext) => actorOf(context).name);
