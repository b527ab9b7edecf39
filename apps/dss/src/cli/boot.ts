import { runCommand } from './run-command.ts';
import { runSelftest } from './selftest-command.ts';

const complain = (text: string): void => void process.stderr.write(`${text}\n`);
const call = process.argv.slice(2);
const [command, ...args] = call;
const context = {
  environment: process.env,
  print: (text: string): void => void process.stdout.write(`${text}\n`),
  complain,
  awaitInterrupt: (): AbortSignal => {
    const interrupted = new AbortController();
    // npm and the shell both send it: a second one is no further wish
    process.on('SIGINT', () => interrupted.abort(new Error('interrupted')));
    return interrupted.signal;
  },
};
process.exitCode =
  command === 'selftest' ? await runSelftest(args, process.cwd(), complain) : await runCommand(call, context);
// connections that nobody answers must not keep the command alive
process.stdout.write('', () => process.exit());
