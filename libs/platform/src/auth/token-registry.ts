import { createHash, timingSafeEqual } from 'node:crypto';
import { type AuthConfig, type Role, type Secret } from '#configuration';
import { type RequestActor } from './actor.ts';

/** The configured tokens. Comparing takes as long for a wrong token as for a right one. */
export class TokenRegistry {
  readonly #entries: readonly { readonly digest: Buffer; readonly actor: RequestActor }[];

  constructor(auth: AuthConfig) {
    this.#entries = auth.tokens.map(({ name, token, roles }) => ({
      digest: digestOf(token.reveal()),
      actor: { name, roles: widen(roles) },
    }));
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  find(token: string): RequestActor | null {
    const digest = digestOf(token);
    let found: RequestActor | null = null;
    for (const entry of this.#entries) if (timingSafeEqual(entry.digest, digest)) found = entry.actor;
    return found;
  }
}

/** The token that DSS and DWS show to DCS; null when none is configured. */
export function findRpcToken(auth: AuthConfig): Secret | null {
  const chosen = auth.tokens.find(({ name, roles }) =>
    auth.rpcToken === undefined ? roles.includes('operate') : name === auth.rpcToken,
  );
  return chosen?.token ?? null;
}

function widen(roles: readonly Role[]): readonly Role[] {
  return roles.includes('operate') ? ['read', 'operate'] : roles;
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
