import { type TableName, topicName } from '#change-events';
import { type KeyMessage, type KeyMessages } from '#kafka';
import { type ExplainedMessageDto, type ExplainedMessagesDto } from './explanation.dto.ts';
import { type Part } from './part.ts';
import { showJson } from './shown-json.ts';

export function describeMessages(
  { value, unavailable }: Part<KeyMessages>,
  source: string,
  { database, table }: TableName,
): ExplainedMessagesDto {
  if (value === null) return { unavailable, topic: null, complete: null, messages: [] };
  const topic = topicName(source, database, table);
  return { unavailable, topic, complete: value.isComplete, messages: value.messages.map(describeMessage) };
}

function describeMessage(message: KeyMessage): ExplainedMessageDto {
  const { partition, offset, publishedMs, id, version, op } = message;
  const shown = message.value === null ? { value: null, omittedBytes: 0 } : showJson(message.value.toString());
  return { partition, offset, publishedMs, id, version, op, ...shown };
}
