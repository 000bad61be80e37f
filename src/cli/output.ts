/** Where commands write: results to `out`, errors and notes to `err`. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

/**
 * The standard streams. A reader that went away (`| head`) ends the command without a word, unless somebody else listens for
 * errors of the stream: then it is their affair.
 */
export function processOutput(): Output {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: Error & { readonly code?: string }) => {
      if (stream.listenerCount('error') > 1) return;
      if (error.code !== 'EPIPE') throw error;
      process.exit();
    });
  }
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  };
}

/** Characters that would move the cursor, hide or reorder text; names and errors may come from the network. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}]/gu;

/** Text that is safe to show in a terminal: one line, every unprintable character as `\u{hex}`. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
