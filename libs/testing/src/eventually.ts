/** Asks until the answer is as wanted (by default: true); the test's own time limit ends it. */
export async function eventually<Answer>(
  ask: () => Answer | Promise<Answer>,
  isWanted: (answer: Answer) => boolean = Boolean,
  everyMs = 20,
): Promise<Answer> {
  for (;;) {
    const answer = await ask();
    if (isWanted(answer)) return answer;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
