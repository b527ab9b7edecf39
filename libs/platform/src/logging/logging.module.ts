import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type DynamicModule, Module } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import { NestLogger } from './nest-logger.ts';
import { rootLogger } from './root-logger.ts';

/** Nest's own lines and one line for each request, through the same root as `createLogger`. */
@Module({})
export class LoggingModule {
  static register(): DynamicModule {
    return {
      module: LoggingModule,
      providers: [NestLogger],
      exports: [NestLogger],
      imports: [
        LoggerModule.forRoot({
          renameContext: 'component',
          pinoHttp: {
            logger: rootLogger(),
            customLogLevel: chooseLevel,
            serializers: { req: describeRequest, res: describeResponse },
            quietReqLogger: true,
          },
        }),
      ],
    };
  }
}

/** What went well is worth a line only to those who look for it. */
function chooseLevel(_request: IncomingMessage, response: ServerResponse, error?: Error) {
  if (error || response.statusCode >= 500) return 'warn';
  return response.statusCode >= 400 ? 'info' : 'debug';
}

function describeRequest({ method, url, remoteAddress }: { method: string; url: string; remoteAddress?: string }) {
  return { method, url, remoteAddress };
}

function describeResponse({ statusCode }: { statusCode: number }) {
  return { statusCode };
}
