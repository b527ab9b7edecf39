import { formatTableName } from '#change-events';

/** The first part of a topic's name. */
export function sourceOf(topic: string): string {
  return topic.slice(0, topic.indexOf('.'));
}

/** The table that a topic is named after; not certain for a name that itself looks like an escaped one. */
export function guessTable(topic: string): string {
  const [, database = '', table = ''] = topic
    .split('.')
    .map((part) => part.replace(/_x([0-9A-F]{4})/g, (_all, code: string) => String.fromCharCode(parseInt(code, 16))));
  return formatTableName({ database, table });
}
