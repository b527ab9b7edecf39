import { runCommand } from './run-command.ts';

process.exitCode = await runCommand(process.argv.slice(2), {
  environment: process.env,
  print: (text) => void process.stdout.write(`${text}\n`),
  complain: (text) => void process.stderr.write(`${text}\n`),
  awaitInterrupt: () => {
    const interrupted = new AbortController();
    // npm and the shell both send it: a second one is no further wish
    process.on('SIGINT', () => interrupted.abort(new Error('interrupted')));
    return interrupted.signal;
  },
});
// connections that nobody answers must not keep the command alive
process.stdout.write('', () => process.exit());
