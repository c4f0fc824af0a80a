// UTF-8. The engine in a component has neither TextEncoder nor TextDecoder.

/** The bytes of a text. A half of a pair becomes the replacement character. */
export function encode(text) {
  const bytes = [];
  for (const character of text) {
    let code = character.codePointAt(0);
    if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) {
      bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    } else {
      bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63));
      bytes.push(0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    }
  }
  return Uint8Array.from(bytes);
}

// How many bytes follow a first byte, and the least code that so many are for.
function length(first) {
  if (first >= 0xc2 && first <= 0xdf) return [1, 0x80];
  if (first >= 0xe0 && first <= 0xef) return [2, 0x800];
  if (first >= 0xf0 && first <= 0xf4) return [3, 0x10000];
  return undefined;
}

/** The text of bytes. What is no UTF-8 is replaced, or a RangeError if `strict`. */
export function decode(bytes, strict = false) {
  const parts = [];
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at];
    at += 1;
    if (first < 0x80) {
      parts.push(String.fromCharCode(first));
      continue;
    }
    const more = length(first);
    let code = more ? first & (0x3f >> more[0]) : 0;
    let left = more ? more[0] : 0;
    const began = at;
    while (left > 0 && (bytes[at] & 0xc0) === 0x80) {
      code = (code << 6) | (bytes[at] & 63);
      at += 1;
      left -= 1;
    }
    const isSurrogate = code >= 0xd800 && code <= 0xdfff;
    if (!more || left > 0 || code < more[1] || code > 0x10ffff || isSurrogate) {
      if (strict) throw new RangeError(`byte ${began - 1} is no UTF-8`);
      parts.push("\ufffd");
    } else {
      parts.push(String.fromCodePoint(code));
    }
  }
  return parts.join("");
}
