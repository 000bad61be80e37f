/**
 * A non-negative decimal number in its only spelling: digits, no sign, no leading zero.
 *
 * @param maximum  the largest value allowed, at most 2^53 - 1
 * @returns `undefined` when `text` is not such a number or exceeds `maximum`
 */
export function parseDecimal(text: string, maximum: number): number | undefined {
  const { length } = text;
  if (length === 0 || length > 16) return undefined;
  if (length > 1 && text.charCodeAt(0) === 0x30) return undefined;
  let value = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value <= maximum ? value : undefined;
}
