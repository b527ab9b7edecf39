import { formatEndpoint, type SourceConfig, toMySqlOptions } from '#configuration';
import { type DittoError, toDittoError } from '#kernel';
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

/** A server that takes longer counts as one that does not answer. */
const ANSWER_WITHIN_MS = 2000;

/** Asks all endpoints of the source side by side. Rejects only when `signal` is aborted. */
export async function surveyServers(source: SourceConfig, signal: AbortSignal): Promise<readonly SurveyedServer[]> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
  return Promise.all(
    source.endpoints.map(async (configured, index) => {
      const endpoint = formatEndpoint(configured);
      try {
        return { index, endpoint, answer: await new MySqlEndpoint(toMySqlOptions(configured)).inspect(limit) };
      } catch (cause) {
        signal.throwIfAborted();
        return { index, endpoint, answer: toDittoError(cause) };
      }
    }),
  );
}

export function hasAnswered(server: SurveyedServer): server is AnsweringServer {
  return 'serverUuid' in server.answer;
}
