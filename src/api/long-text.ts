/** The octets of a text that grows to megabytes: put together piece by piece, as one string it would be copied in one step. */
const PIECE_CHARACTERS = 32 * 1024;

export class LongText {
  readonly #pieces: Buffer[] = [];
  #last = '';

  add(text: string): void {
    this.#last += text;
    if (this.#last.length >= PIECE_CHARACTERS) this.#close();
  }

  get pieces(): readonly Buffer[] {
    this.#close();
    return this.#pieces;
  }

  #close(): void {
    if (this.#last === '') return;
    this.#pieces.push(Buffer.from(this.#last));
    this.#last = '';
  }
}
