import { type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DittoError, type Logger, takeSignals } from '#kernel';
import { type DittoConfig, loadConfig, toListenerUrl } from '#configuration';
import { LivenessFile } from '../health/liveness-file.ts';
import { configureLogging, createLogger } from '../logging/root-logger.ts';
import { createService, type ServiceOptions } from './create-service.ts';
import { limitHeapGrowth } from './heap-growth.ts';
import { assertEnoughMemory } from './memory.ts';
import { type ServiceName } from './platform.module.ts';
import { Shutdown } from './shutdown.ts';
import { createShutdownSequence } from './shutdown-sequence.ts';

export interface BootstrapOptions extends Omit<ServiceOptions, 'rpc'> {
  /** Default: read as `loadConfig(process.env)` does. */
  readonly config?: DittoConfig;
  /** Whether the service answers RPC at `rpc` of its section; only DCS has one. */
  readonly rpc?: boolean;
}

/**
 * The whole of a service's `boot.ts`. Resolves when it listens and has said so in one line; from then on signals end it
 * (`createShutdownSequence`). A start that fails, and an error that nobody caught, are logged and end the process with 1.
 */
export async function bootstrapService(options: BootstrapOptions): Promise<void> {
  const config = readConfigOrExit(options);
  const logger = createLogger('service');
  watchUncaught(logger);
  limitHeapGrowth();
  try {
    assertEnoughMemory(options.name);
    const { rpc, ...rest } = options;
    const app = await createService({ ...rest, ...(rpc && { rpc: config.dcs.rpc }) }, config);
    watchSignals(app, config[options.name].shutdownDeadlineMs, logger);
    await listen(app, options, config);
    const livenessFile = process.env['DITTO_LIVENESS_FILE'];
    if (livenessFile !== undefined) new LivenessFile(livenessFile, logger).keep();
    announce(options, config, logger);
  } catch (error) {
    logger.error('the service could not start', { error });
    process.exit(1);
  }
}

function readConfigOrExit({ name, config: given }: BootstrapOptions): DittoConfig {
  const warnings: string[] = [];
  try {
    const config = given ?? loadConfig(process.env, { onWarning: (warning) => warnings.push(warning) });
    configureLogging({ service: name, level: config.log.level });
    const logger = createLogger('configuration');
    for (const warning of warnings) logger.warn(warning);
    return config;
  } catch (error) {
    if (!(error instanceof DittoError)) throw error;
    process.stderr.write(`${error.code}: ${error.message}\n${error.remedy ?? ''}\n`);
    process.exit(1);
  }
}

async function listen(
  app: NestFastifyApplication,
  { name, rpc }: BootstrapOptions,
  config: DittoConfig,
): Promise<void> {
  const { host, port } = config[name].http;
  try {
    if (rpc) await app.startAllMicroservices();
    await app.listen(port, host);
  } catch (error) {
    throw isAddressInUse(error) ? createPortError(name, error) : error;
  }
}

function announce({ name, rpc }: BootstrapOptions, config: DittoConfig, logger: Logger): void {
  const url = toListenerUrl(config[name].http);
  const listening = rpc ? { rpc: `${config.dcs.rpc.host}:${config.dcs.rpc.port}` } : {};
  logger.info(`${name} is ready at ${url}`, { url, docs: `${url}/docs`, ...listening });
}

function watchSignals(app: NestFastifyApplication, deadlineMs: number, logger: Logger): void {
  const onSignal = createShutdownSequence({
    begin: (reason) => app.get(Shutdown).begin(reason),
    close: () => app.close(),
    deadlineMs,
    exit: (code) => process.exit(code),
    logger,
  });
  takeSignals((signal) => void onSignal(signal));
}

function watchUncaught(logger: Logger): void {
  for (const event of ['uncaughtException', 'unhandledRejection'] as const)
    process.on(event, (error: unknown) => {
      logger.error('an error that nobody caught ends the process', { event, error });
      process.exit(1);
    });
}

function isAddressInUse(error: unknown): error is Error & { readonly port?: number } {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function createPortError(name: ServiceName, cause: Error & { readonly port?: number }): DittoError {
  return new DittoError(
    'DITTO_SERVICE_PORT_TAKEN',
    `Another process listens on port ${cause.port ?? 'of this service'} already`,
    {
      remedy: `Stop it, or choose another port: DITTO_${name.toUpperCase()}_HTTP_PORT (REST), DITTO_DCS_RPC_PORT (RPC of DCS).`,
      cause,
    },
  );
}
