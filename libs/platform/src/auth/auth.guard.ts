import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { type TcpContext } from '@nestjs/microservices';
import { isLoopback, type Role } from '#configuration';
import { findForeign } from '../http/foreign-request.ts';
import { RequestError } from '../http/request-error.ts';
import { LimitedLog } from '../logging/limited-log.ts';
import { createLogger } from '../logging/root-logger.ts';
import { RpcSocket } from '../rpc/rpc-socket.ts';
import { type Access, ACCESS_KEY } from './access.ts';
import { carrierOf, rememberActor, type RequestActor } from './actor.ts';
import { TokenRegistry } from './token-registry.ts';

interface HttpRequest {
  readonly method: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: { readonly remoteAddress?: string };
}

/** Where the service listens for HTTP. */
export abstract class ListenAddress {
  abstract readonly host: string;
}

const LOCAL: RequestActor = { name: 'local', roles: ['read', 'operate'] };

/**
 * Lets a request pass whose bearer token (HTTP) or envelope's token (RPC) has the role that the handler asks for. Without
 * tokens in the configuration everybody passes: then the services listen on loopback only.
 */
@Injectable()
export class AuthGuard implements CanActivate {
  readonly #reflector: Reflector;
  readonly #tokens: TokenRegistry;
  readonly #address: ListenAddress;
  readonly #denied = new LimitedLog({ logger: createLogger('rpc') });

  constructor(reflector: Reflector, tokens: TokenRegistry, address: ListenAddress) {
    this.#reflector = reflector;
    this.#tokens = tokens;
    this.#address = address;
  }

  canActivate(context: ExecutionContext): boolean {
    const access = this.#accessOf(context);
    const carrier = carrierOf(context);
    const actor = this.#tokens.isEmpty ? LOCAL : this.#tokens.find(tokenOf(context, carrier) ?? '');
    if (actor && typeof carrier === 'object' && carrier !== null) rememberActor(carrier, actor);
    if (actor) rpcSocketOf(context)?.trust();
    if (access === 'public' || (access === 'public-on-loopback' && this.#isLocal(context, carrier))) return true;
    this.#assertRole(context, actor, access === 'public-on-loopback' ? 'read' : access);
    return true;
  }

  #assertRole(context: ExecutionContext, actor: RequestActor | null, role: Role): void {
    if (actor?.roles.includes(role)) return;
    this.#noteDenied(context, actor, role);
    if (!actor)
      throw new RequestError(401, 'DITTO_AUTH_REQUIRED', 'A valid token is required', {
        remedy: 'Send one of the tokens of the configuration: Authorization: Bearer <token>',
      });
    throw new RequestError(403, 'DITTO_AUTH_FORBIDDEN', `The token ${actor.name} does not have the role ${role}`, {
      remedy: `Use a token with the role ${role}, or give it to ${actor.name} in auth.tokens.`,
    });
  }

  /** Refused requests of HTTP are in the log of requests. */
  #noteDenied(context: ExecutionContext, actor: RequestActor | null, role: Role): void {
    if (context.getType() !== 'rpc') return;
    const socket = rpcSocketOf(context);
    const pattern: unknown = context.switchToRpc().getContext<TcpContext>().getPattern();
    this.#denied.warn('a caller was refused', {
      pattern,
      role,
      actor: actor?.name ?? null,
      address: socket?.netSocket.remoteAddress,
    });
    if (!actor) socket?.deny();
  }

  #accessOf(context: ExecutionContext): Access {
    const access = this.#reflector.getAllAndOverride<Access | undefined>(ACCESS_KEY, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (access) return access;
    if (context.getType() === 'rpc') return 'operate';
    return ['GET', 'HEAD'].includes(context.switchToHttp().getRequest<HttpRequest>().method) ? 'read' : 'operate';
  }

  #isLocal(context: ExecutionContext, carrier: unknown): boolean {
    if (context.getType() === 'rpc' || !isLoopback(this.#address.host)) return false;
    const request = carrier as HttpRequest;
    const { remoteAddress = '' } = request.socket;
    return isLoopback(remoteAddress) && findForeign(request, []) === null;
  }
}

function rpcSocketOf(context: ExecutionContext): RpcSocket | null {
  if (context.getType() !== 'rpc') return null;
  const socket: unknown = context.switchToRpc().getContext<TcpContext>().getSocketRef();
  return socket instanceof RpcSocket ? socket : null;
}

function tokenOf(context: ExecutionContext, carrier: unknown): string | null {
  if (context.getType() === 'rpc') {
    const token = typeof carrier === 'object' && carrier !== null && 'token' in carrier ? carrier.token : null;
    return typeof token === 'string' ? token : null;
  }
  const { authorization } = (carrier as HttpRequest).headers;
  return /^Bearer +(\S+)$/i.exec(typeof authorization === 'string' ? authorization : '')?.[1] ?? null;
}
