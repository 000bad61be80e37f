/** Escaping of text and attribute values in what we write (XML 1.0 §2.4). */

const NEEDS_ESCAPE =
  /[&<>"'\u0000-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const ESCAPED = new RegExp(NEEDS_ESCAPE.source, 'g');

/**
 * Escapes `& < > " '` and writes white space other than the blank as references (an attribute value would lose it).
 * Characters that XML 1.0 §2.2 cannot carry at all become U+FFFD: an agent aborts on a stanza that is not well-formed.
 */
export function escapeXml(text: string): string {
  return NEEDS_ESCAPE.test(text) ? text.replace(ESCAPED, escapeCharacter) : text;
}

function escapeCharacter(character: string): string {
  switch (character) {
    case '&':
      return '&amp;';
    case '<':
      return '&lt;';
    case '>':
      return '&gt;';
    case '"':
      return '&quot;';
    case "'":
      return '&apos;';
    case '\t':
      return '&#9;';
    case '\n':
      return '&#10;';
    case '\r':
      return '&#13;';
    default:
      return '\ufffd';
  }
}
