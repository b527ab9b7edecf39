import { SetMetadata } from '@nestjs/common';
import { type Role } from '#configuration';

export type Access = 'public' | 'public-on-loopback' | Role;

export const ACCESS_KEY = 'ditto:access';

/** The role that a handler, or all handlers of a controller, ask for; by default `read` for GET and HEAD, else `operate`. */
export const Roles = (role: Role) => SetMetadata<string, Access>(ACCESS_KEY, role);

/** No token is asked for. */
export const Public = () => SetMetadata<string, Access>(ACCESS_KEY, 'public');

/** No token is asked for from this machine while the service listens on loopback; else the role `read`. */
export const PublicOnLoopback = () => SetMetadata<string, Access>(ACCESS_KEY, 'public-on-loopback');
