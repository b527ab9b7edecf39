import { Injectable } from '@nestjs/common';
import { Logger } from 'nestjs-pino';

/** What Nest says of each module and route at every start is worth a line only to those who look for it. */
const WORDY_COMPONENTS = new Set([
  'InstanceLoader',
  'NestApplication',
  'NestFactory',
  'NestMicroservice',
  'RouterExplorer',
  'RoutesResolver',
]);

@Injectable()
export class NestLogger extends Logger {
  override log(message: unknown, ...optional: unknown[]): void {
    if (WORDY_COMPONENTS.has(String(optional.at(-1)))) super.debug(message, ...optional);
    else super.log(message, ...optional);
  }
}
