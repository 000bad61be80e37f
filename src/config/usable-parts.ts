/**
 * What of a document can be used although something in it is wrong (document-parts.ts finds out), so that checks which need several fields find
 * what they can in one go.
 *
 * A field that is wrong, or missing, throws when it is read: a check that needs it says nothing, because what it found might
 * only follow from the mistake that is told already. {@link attempt} ends such a check there, and the others go on.
 */
const UNUSABLE = new Error('a field that is wrong was read outside of attempt()');

/**
 * Runs a check as far as what it reads can be used.
 *
 * @returns whether it came to its end
 */
export function attempt(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error !== UNUSABLE) throw error;
    return false;
  }
}

/** Checks each item of a list, if there is one, as far as it can be used. @returns whether there is */
export function eachOf<T>(list: () => readonly T[], check: (item: T, index: number) => void): boolean {
  return attempt(() => {
    for (const [index, item] of list().entries()) {
      attempt(() => {
        check(item, index);
      });
    }
  });
}

/** Gives a section a field: what is in the box, or one that throws when there is none. */
export function setPart(section: object, name: string, part: { readonly value: unknown } | undefined): void {
  if (part !== undefined) {
    (section as Record<string, unknown>)[name] = part.value;
    return;
  }
  Object.defineProperty(section, name, {
    enumerable: true,
    get: () => {
      throw UNUSABLE;
    },
  });
}
