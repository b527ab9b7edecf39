import { createHmac } from 'node:crypto';
import { findReason } from '#kernel';
import { readPackageVersion } from '#platform';

export interface WebhookTarget {
  readonly url: string;
  readonly secret: string;
  readonly timeoutMs: number;
}

export interface SentNotice {
  readonly id: string;
  readonly event: string;
  readonly body: string;
}

/** Resolves with null when the receiver has taken it (2xx), else with why not. Redirects are not followed. */
export async function callWebhook(
  { url, secret, timeoutMs }: WebhookTarget,
  { id, event, body }: SentNotice,
  nowMs: number,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const answer = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        'user-agent': `ditto/${readPackageVersion()}`,
        'ditto-id': id,
        'ditto-event': event,
        'ditto-signature': sign(secret, body, nowMs),
      },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    await answer.body?.cancel();
    return answer.ok ? null : `it answered ${answer.status}`;
  } catch (error) {
    signal.throwIfAborted();
    const { name, cause } = error as Error;
    if (name === 'TimeoutError') return `no answer within the timeout of ${timeoutMs} ms`;
    // without a cause the message may have the URL, which is a secret
    return cause === undefined ? `it can not be called (${name})` : findReason(cause);
  }
}

/** The time is signed too, so that what somebody has recorded can not be sent again later. */
export function sign(secret: string, body: string, nowMs: number): string {
  const seconds = Math.floor(nowMs / 1000);
  const hash = createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex');
  return `t=${seconds},v1=${hash}`;
}
