import { describe, expect, it } from '@jest/globals';
import { canRun, runCommand } from './command.ts';
import { identifyProcess } from './process-identity.ts';

describe('runCommand', () => {
  it('gives standard output and every line as it comes', async () => {
    const lines: string[] = [];
    const output = await runCommand('sh', ['-c', 'cat; echo two; echo three >&2'], {
      input: 'one\n',
      onLine: (line) => lines.push(line),
    });
    expect(output).toBe('one\ntwo');
    expect(lines.sort()).toEqual(['one', 'three', 'two']);
  });

  it('says what a failed program said last', async () => {
    await expect(runCommand('sh', ['-c', 'echo "disk full" >&2; exit 3'])).rejects.toMatchObject({
      code: 'DITTO_STACK_COMMAND_FAILED',
      message: expect.stringMatching(/sh -c ended with 3[^]*disk full/) as unknown as string,
    });
  });

  it('fails with the same code when there is no such program', async () => {
    await expect(runCommand('/nonexistent/program', [])).rejects.toMatchObject({ code: 'DITTO_STACK_COMMAND_FAILED' });
    expect(await canRun('/nonexistent/program', [])).toBe(false);
  });

  it('kills the program and its descendants when it is aborted', async () => {
    const abort = new AbortController();
    let descendant = 0;
    const running = runCommand('sh', ['-c', 'sleep 33 & echo $!; wait'], {
      signal: abort.signal,
      onLine: (line) => {
        descendant = Number(line);
        abort.abort(new Error('enough'));
      },
    });
    await expect(running).rejects.toThrow('enough');
    expect(descendant).toBeGreaterThan(0);
    expect(identifyProcess(descendant)).toBeNull();
  });

  it('does not run beyond its time', async () => {
    await expect(runCommand('sleep', ['34'], { timeoutMs: 50 })).rejects.toThrow('took too long');
  });
});
