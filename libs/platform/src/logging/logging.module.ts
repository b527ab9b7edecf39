import { type DynamicModule, Module } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import { NestLogger } from './nest-logger.ts';
import { rootLogger } from './root-logger.ts';

/** Nest's own lines, through the same root as `createLogger`. Requests are logged by `RequestLog`. */
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
          pinoHttp: { logger: rootLogger() },
          // a logger for each request would show its URL
          forRoutes: [],
        }),
      ],
    };
  }
}
