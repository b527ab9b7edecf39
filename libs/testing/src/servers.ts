import { randomUUID } from 'node:crypto';

import { attachStack, type Stack } from '#stack';

/** Names the folder of the stack that tests share; set by `npm test`, which starts it. */
export const TEST_STACK_VARIABLE = 'DITTO_TEST_STACK';

/** The servers that tests share. A test that breaks servers starts a stack of its own instead. */
export async function testStack(): Promise<Stack> {
  const folder = process.env[TEST_STACK_VARIABLE];
  if (folder === undefined || folder === '')
    throw new Error(
      `${TEST_STACK_VARIABLE} is not set: run the tests with "npm test", or start a stack with "npm run stack -- up" and give its folder.`,
    );
  return attachStack(folder);
}

/** A name nobody else uses, for a database, topic, collection or key prefix: tests share servers. */
export function uniqueName(prefix: string): string {
  return `${prefix}_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
}
