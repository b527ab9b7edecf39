import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException } from '@nestjs/common';
import { describeError, DittoError, toDittoError } from '#kernel';
import { throwError } from 'rxjs';
import { createLogger } from '../logging/root-logger.ts';
import { RequestError } from './request-error.ts';

/** The body of every answer that is not a success. */
export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly remedy: string | null;
  /** Each thing that is wrong, when there can be several. */
  readonly problems?: readonly unknown[];
}

interface Reply {
  status(code: number): Reply;
  header(name: string, value: string): Reply;
  send(body: unknown): unknown;
}

const CODES_BY_STATUS: Readonly<Record<number, string>> = {
  400: 'DITTO_REQUEST_INVALID',
  401: 'DITTO_AUTH_REQUIRED',
  403: 'DITTO_AUTH_FORBIDDEN',
  404: 'DITTO_REQUEST_NOT_FOUND',
  413: 'DITTO_REQUEST_TOO_LARGE',
};

const logger = createLogger('requests');

/**
 * Answers with a `Problem` over HTTP and with an `ErrorDescription` over RPC. What a caller can fix is a 4xx; a retriable
 * error is 503; the rest is 500, logged. The text of an error that nobody foresaw stays in the log.
 */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  catch(exception: unknown, host: ArgumentsHost): unknown {
    const status = findStatus(exception);
    if (status >= 500) logger.error('a request failed', { status, error: exception });
    const error = presentError(exception, status);
    if (host.getType() === 'rpc') return throwError(() => describeError(error));
    const { code, message, remedy, context } = error;
    const problems: unknown = context['problems'];
    const body: Problem = { code, message, remedy, ...(Array.isArray(problems) && { problems }) };
    const reply = host.switchToHttp().getResponse<Reply>();
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    return reply.status(status).send(body);
  }
}

function findStatus(exception: unknown): number {
  if (exception instanceof RequestError) return exception.status;
  if (exception instanceof HttpException) return exception.getStatus();
  return exception instanceof DittoError && exception.retriable ? 503 : 500;
}

function presentError(exception: unknown, status: number): DittoError {
  if (exception instanceof DittoError) return exception;
  if (exception instanceof HttpException) {
    const code = CODES_BY_STATUS[status] ?? (status < 500 ? 'DITTO_REQUEST_REFUSED' : 'DITTO_INTERNAL');
    return new DittoError(code, exception.message, {
      ...(status < 500 && { remedy: 'See /docs for what can be asked.' }),
    });
  }
  const { code, remedy } = toDittoError(exception);
  return new DittoError(code, 'Something unforeseen happened', { ...(remedy !== null && { remedy }) });
}
