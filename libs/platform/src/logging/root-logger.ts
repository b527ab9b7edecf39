import { type LogFields, type Logger } from '#kernel';
import { type DestinationStream, type LevelWithSilent, pino, type Logger as PinoLogger } from 'pino';
import { serializeError } from './serialize-error.ts';

export interface LoggingOptions {
  /** Stands in each line. */
  readonly service: string;
  readonly level: LevelWithSilent;
  /** Default: standard output, written synchronously so that the last line before an exit is not lost. */
  readonly destination?: DestinationStream;
}

const SECRET_NAMES = ['password', 'secret', 'token', 'authorization', 'cookie', 'passwd', 'sasl.password'];
const redactedPaths = SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `req.headers.${name}`]);

let root = createRoot({ service: 'ditto', level: 'info' });
let generation = 0;

/** Sets where all loggers write, those made earlier too. */
export function configureLogging(options: LoggingOptions): void {
  root = createRoot(options);
  generation++;
}

export function rootLogger(): PinoLogger {
  return root;
}

/**
 * A logger whose lines carry the component's name. May be made at any time, before `configureLogging` too. An error goes
 * into the field `error`. `Secret`s, fields named as secrets are, and passwords in URLs are not shown.
 */
export function createLogger(component: string): Logger {
  let made = -1;
  let child = root;
  const current = () => {
    if (made !== generation) [made, child] = [generation, root.child({ component })];
    return child;
  };
  return {
    debug: (message, fields: LogFields = {}) => current().debug(fields, message),
    info: (message, fields: LogFields = {}) => current().info(fields, message),
    warn: (message, fields: LogFields = {}) => current().warn(fields, message),
    error: (message, fields: LogFields = {}) => current().error(fields, message),
  };
}

function createRoot({ service, level, destination }: LoggingOptions): PinoLogger {
  return pino(
    {
      level,
      base: { service, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: serializeError, err: serializeError },
      redact: { paths: redactedPaths, censor: hideText },
      hooks: { streamWrite: hideUrlPasswords },
    },
    destination ?? pino.destination({ fd: 1, sync: true }),
  );
}

/** Fencing tokens are numbers and may be seen. */
function hideText(value: unknown): unknown {
  return typeof value === 'number' ? value : '[secret]';
}

/** `mongodb://user:[secret]@host`. Each character is looked at a bounded number of times, whatever the line holds. */
function hideUrlPasswords(line: string): string {
  let result = '';
  let copied = 0;
  for (let at = line.indexOf('://'); at >= 0; at = line.indexOf('://', at + 3)) {
    const end = endOfAuthority(line, at + 3);
    const password = line.slice(at + 3, end).indexOf(':');
    if (password < 0 || line[end] !== '@' || at + 4 + password === end) continue;
    result += `${line.slice(copied, at + 4 + password)}[secret]`;
    copied = end;
  }
  return result + line.slice(copied);
}

function endOfAuthority(line: string, from: number): number {
  const end = /[\s/@"]/g;
  end.lastIndex = from;
  return end.exec(line)?.index ?? line.length;
}
