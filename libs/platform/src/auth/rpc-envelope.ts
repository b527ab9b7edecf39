import { Payload } from '@nestjs/microservices';
import { type PipeTransform } from '@nestjs/common';
import { type Secret } from '#configuration';

/** How every RPC message is wrapped; the guard of the service reads the token. */
export interface RpcEnvelope<Data> {
  readonly token: string | null;
  readonly data: Data;
}

/** Wraps what a client sends. The result holds the token as text: hand it to the transport only. */
export function sealRpc<Data>(token: Secret | null, data: Data): RpcEnvelope<Data> {
  return { token: token?.reveal() ?? null, data };
}

/** What a message handler gets out of the envelope: `@RpcData(new SchemaPipe(schema)) request`. */
export const RpcData = (...pipes: PipeTransform[]): ParameterDecorator => Payload('data', ...pipes);
