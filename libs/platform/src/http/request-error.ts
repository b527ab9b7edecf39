import { DittoError, type DittoErrorOptions } from '#kernel';

export type RequestErrorStatus = 400 | 401 | 403 | 404 | 409 | 422;

/** The caller asked for something that can't be given; `status` is the status of the HTTP answer. */
export class RequestError extends DittoError {
  readonly status: RequestErrorStatus;

  constructor(status: RequestErrorStatus, code: string, message: string, options: DittoErrorOptions = {}) {
    super(code, message, options);
    this.name = 'RequestError';
    this.status = status;
  }
}
