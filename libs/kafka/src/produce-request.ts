import { type Connection, produceV9, Writer } from '@platformatic/kafka';

import { DittoError } from '#kernel';

import { kafkaErrorCodes } from './kafka-errors.ts';

const produceApiKey = 0;
const produceApiVersion = 9;
const acksOfAllInSyncReplicas = -1;

export interface ProduceRequest {
  readonly topic: string;
  readonly partition: number;
  readonly batch: Buffer;
  /** How long the leader may wait for its replicas. */
  readonly timeoutMs: number;
}

type ProduceResponse = ReturnType<typeof produceV9.parseResponse>;

/** Produce v9: https://kafka.apache.org/protocol#The_Messages_Produce */
function createPayload({ topic, partition, batch, timeoutMs }: ProduceRequest): Writer {
  return Writer.create()
    .appendString(null) // no transactional id
    .appendInt16(acksOfAllInSyncReplicas)
    .appendInt32(timeoutMs)
    .appendUnsignedVarInt(2) // one topic (compact array: length + 1)
    .appendString(topic)
    .appendUnsignedVarInt(2) // one partition
    .appendInt32(partition)
    .appendUnsignedVarInt(batch.length + 1)
    .append(batch)
    .appendTaggedFields()
    .appendTaggedFields()
    .appendTaggedFields();
}

function isWritten(response: ProduceResponse | undefined, topic: string, partition: number): boolean {
  const ofTopic = response?.responses.find(({ name }) => name === topic);
  const answer = ofTopic?.partitionResponses.find(({ index }) => index === partition);
  return answer?.errorCode === 0 && answer.baseOffset >= 0n;
}

/** Sends one batch to one partition; resolves when the answer says at which offset it stands. */
export function requestProduce(connection: Connection, request: ProduceRequest): Promise<void> {
  const { topic, partition } = request;
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const settle = (error: Error | null, response?: ProduceResponse): void => {
    if (error) reject(error);
    else if (isWritten(response, topic, partition)) resolve(undefined);
    else
      reject(
        new DittoError(kafkaErrorCodes.unavailable, `the broker's answer lacks ${topic}/${partition}`, {
          retriable: true,
        }),
      );
  };
  connection.send(
    produceApiKey,
    produceApiVersion,
    () => createPayload(request),
    produceV9.parseResponse,
    true,
    true,
    settle,
  );
  return promise;
}
