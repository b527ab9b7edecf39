import { formatEndpoint, type SourceConfig, toMySqlOptions } from '#configuration';
import { DittoError, toDittoError } from '#kernel';
import { type EndpointInspection, MySqlEndpoint } from '#mysql';

/** What an endpoint of a source answered. */
export interface SurveyedServer {
  /** Its place in the configuration. */
  readonly index: number;
  /** `host:port` */
  readonly endpoint: string;
  readonly answer: EndpointInspection | DittoError;
}

export interface AnsweringServer extends SurveyedServer {
  readonly answer: EndpointInspection;
}

/** Asks all endpoints of the source side by side, each for at most `limitMs`. Rejects only when `signal` is aborted. */
export async function surveyServers(
  source: SourceConfig,
  limitMs: number,
  signal: AbortSignal,
): Promise<readonly SurveyedServer[]> {
  const late = AbortSignal.timeout(limitMs);
  const either = AbortSignal.any([signal, late]);
  return Promise.all(
    source.endpoints.map(async (configured, index) => {
      const endpoint = formatEndpoint(configured);
      try {
        return { index, endpoint, answer: await new MySqlEndpoint(toMySqlOptions(configured)).inspect(either) };
      } catch (cause) {
        signal.throwIfAborted();
        return { index, endpoint, answer: late.aborted ? unreachable(endpoint, limitMs) : toDittoError(cause) };
      }
    }),
  );
}

function unreachable(endpoint: string, limitMs: number): DittoError {
  return new DittoError('DITTO_SOURCE_UNREACHABLE', `${endpoint} did not answer within ${limitMs} ms`, {
    retriable: true,
    remedy: 'Check that the server runs, and the network between.',
  });
}

export function hasAnswered(server: SurveyedServer): server is AnsweringServer {
  return 'serverUuid' in server.answer;
}
