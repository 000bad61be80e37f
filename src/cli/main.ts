/** Entry of the `filament` command. */
import { ExitCode } from './cli-error.js';
import { keepMemoryFromDumps } from './core-dump.js';
import { processOutput } from './output.js';
import { runProgram } from './program.js';

const output = processOutput();

/** A bug of ours: one line, and the stack only for those who ask. */
function bug(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  output.err(`filament: internal error: ${message.split('\n')[0] ?? ''} (FILAMENT_DEBUG=1 shows where)\n`);
  if (process.env['FILAMENT_DEBUG'] !== undefined && error instanceof Error) output.err(`${error.stack ?? ''}\n`);
}

process.on('uncaughtException', (error) => {
  bug(error);
  process.exit(ExitCode.failed);
});

keepMemoryFromDumps();

// Otherwise Node would open its debugger to whoever reaches the port.
process.on('SIGUSR1', () => undefined);

try {
  process.exitCode = await runProgram(process.argv.slice(2), { output, environment: process.env });
} catch (error) {
  bug(error);
  process.exitCode = ExitCode.failed;
}
