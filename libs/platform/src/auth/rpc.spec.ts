import { Controller, Module } from '@nestjs/common';
import { type ClientProxy, ClientProxyFactory, MessagePattern, Transport } from '@nestjs/microservices';
import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { createServer, type AddressInfo } from 'node:net';
import { type ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DittoError, restoreError } from '#kernel';
import { firstValueFrom } from 'rxjs';
import { z } from 'zod';
import { parseConfig, Secret } from '#configuration';
import { SchemaPipe } from '../http/schema.pipe.ts';
import { configureLogging } from '../logging/root-logger.ts';
import { createService } from '../service/create-service.ts';
import { Roles } from './access.ts';
import { Actor } from './actor.ts';
import { RpcData, sealRpc } from './rpc-envelope.ts';
import { findRpcToken } from './token-registry.ts';

const config = parseConfig(`
sources: { shop: { endpoints: [{ host: db, user: ditto, password: secret }], include: ['shop.*'] } }
mongo: { url: 'mongodb://localhost' }
redis: { url: 'redis://localhost' }
state: { host: db, user: ditto, password: secret }
auth: { tokens: [{ name: viewer, token: look-look-look-look }, { name: dss, token: act-act-act-act-act, roles: [operate] }] }
`);

/** Self-signed, for this spec alone. */
const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUN4dPfh1kSWPeUj4cbYK46v+WdDgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjE1MTkyMVoYDzIxMjYxMDI5
MTUxOTIxWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARu4U3n89nfbr6oXz4idtlokRHbviYQA68NodZtexLeWj+lDxARkfUW
IrBIRIXioi6rvccAEMklTMh6eCNBlH7oo28wbTAdBgNVHQ4EFgQU9HB1BzGpmCT2
qCmCI8varPmjjOUwHwYDVR0jBBgwFoAU9HB1BzGpmCT2qCmCI8varPmjjOUwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhANL631EwcU1FVQpkklPpKmuNGcyPzKCOPBmcF3vaURX9AiEA
tVU+4fEPbvm2FaDn3YD2wb93uGu86Cj9lOEoNazn0p0=
-----END CERTIFICATE-----`;
const PRIVATE_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgb2OSg6+4EDZDX6V2
SL4Vxs9tS3fRixwcv6jpGu09s/ihRANCAARu4U3n89nfbr6oXz4idtlokRHbviYQ
A68NodZtexLeWj+lDxARkfUWIrBIRIXioi6rvccAEMklTMh6eCNBlH7o
-----END PRIVATE KEY-----`;

const schema = z.strictObject({ source: z.string() });

@Controller()
class LeasesController {
  @MessagePattern('leases.acquire')
  acquire(@RpcData(new SchemaPipe(schema)) request: z.output<typeof schema>, @Actor() actor: string) {
    return { ...request, actor };
  }

  @MessagePattern('leases.list')
  @Roles('read')
  list() {
    return [];
  }

  @MessagePattern('leases.fail')
  fail(@RpcData() how: unknown) {
    if (how === 'unknown') throw new Error('hunter2');
    throw new DittoError('DITTO_TEST_BUSY', 'busy', { retriable: true, remedy: 'Wait.', context: { source: 'shop' } });
  }
}

@Module({ controllers: [LeasesController] })
class AppModule {}

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('RPC', () => {
  let app: NestFastifyApplication;
  let client: ClientProxy;
  const operator = findRpcToken(config.auth);

  beforeAll(async () => {
    configureLogging({ service: 'dcs', level: 'silent' });
    const rpc = { ...config.dcs.rpc, port: await findFreePort() };
    app = await createService({ name: 'dcs', description: '', createModule: () => AppModule, rpc }, config);
    await app.startAllMicroservices();
    client = ClientProxyFactory.create({ transport: Transport.TCP, options: { host: rpc.host, port: rpc.port } });
  });
  afterAll(async () => {
    client.close();
    await app.close();
  });

  async function refusal(pattern: string, message: unknown): Promise<DittoError | null> {
    return firstValueFrom(client.send(pattern, message)).then(
      () => null,
      (error: unknown) => restoreError(error),
    );
  }

  it('hands over what is in the envelope, and the actor', async () => {
    const answer = firstValueFrom(client.send<unknown>('leases.acquire', sealRpc(operator, { source: 'shop' })));
    await expect(answer).resolves.toEqual({ source: 'shop', actor: 'dss' });
  });

  it('refuses messages without a valid token or without the role', async () => {
    const data = { source: 'shop' };
    for (const message of [data, sealRpc(null, data), sealRpc(new Secret('wrong'), data), 'text', { token: 7, data }])
      expect(await refusal('leases.acquire', message)).toMatchObject({ code: 'DITTO_AUTH_REQUIRED', retriable: false });
    const viewer = new Secret('look-look-look-look');
    expect(await refusal('leases.acquire', sealRpc(viewer, data))).toMatchObject({ code: 'DITTO_AUTH_FORBIDDEN' });
    await expect(firstValueFrom(client.send<unknown>('leases.list', sealRpc(viewer, {})))).resolves.toEqual([]);
  });

  it('refuses bad messages with every problem', async () => {
    const error = await refusal('leases.acquire', sealRpc(operator, { sauce: 1 }));
    expect(error).toMatchObject({
      code: 'DITTO_REQUEST_INVALID',
      context: { problems: [{ path: 'source' }, { path: 'sauce' }] },
    });
  });

  it('gives coded errors as they are, and hides what nobody foresaw', async () => {
    const coded = await refusal('leases.fail', sealRpc(operator, 'coded'));
    expect(coded).toMatchObject({
      code: 'DITTO_TEST_BUSY',
      retriable: true,
      remedy: 'Wait.',
      context: { source: 'shop' },
    });
    const unknown = await refusal('leases.fail', sealRpc(operator, 'unknown'));
    expect(unknown).toMatchObject({ code: 'DITTO_INTERNAL' });
    expect(unknown?.message).not.toContain('hunter2');
  });
});

describe('RPC with TLS', () => {
  it('answers those who speak TLS, and trust its certificate', async () => {
    configureLogging({ service: 'dcs', level: 'silent' });
    const tls = { cert: CERTIFICATE, key: new Secret(PRIVATE_KEY) };
    const rpc = { ...config.dcs.rpc, port: await findFreePort(), tls };
    const app = await createService({ name: 'dcs', description: '', createModule: () => AppModule, rpc }, config);
    await app.startAllMicroservices();
    const ask = async (tlsOptions: ConnectionOptions) => {
      const client = ClientProxyFactory.create({
        transport: Transport.TCP,
        options: { host: rpc.host, port: rpc.port, tlsOptions },
      });
      const message = sealRpc(findRpcToken(config.auth), {});
      return firstValueFrom(client.send<unknown>('leases.list', message)).finally(() => void client.close());
    };
    await expect(ask({ rejectUnauthorized: false })).resolves.toEqual([]);
    await expect(ask({})).rejects.toThrow();
    await app.close();
  });
});
