// HTTP: one whole request, one whole answer. The host follows no redirects.
import { Failed, Transient } from "./errors.js";
import { host } from "./host.js";
import { decode, encode } from "./text.js";

const EXCERPT = 512;

/** What came back. */
export class Response {
  constructor(status, headers = [], body = new Uint8Array()) {
    this.status = status;
    this.headers = headers;
    this.body = body;
  }

  /** The first header of this name, whatever its case. */
  header(name) {
    const wanted = name.toLowerCase();
    return this.headers.find(([other]) => other.toLowerCase() === wanted)?.[1];
  }

  /** The body as text; what is no UTF-8 is replaced. */
  text() {
    return decode(this.body);
  }

  /**
   * The answer itself if its status is one of 200 to 299. Otherwise throws Transient for 429 and
   * 5xx, with the seconds of a Retry-After, and Failed with a code such as http-404 for the rest.
   */
  success() {
    if (this.status >= 200 && this.status < 300) return this;
    const text = this.text().trim();
    const excerpt = text.length > EXCERPT ? `${text.slice(0, EXCERPT)}…` : text;
    const message = `HTTP ${this.status}${excerpt && `: ${excerpt}`}`;
    if (this.status === 429 || this.status >= 500) {
      const after = (this.header("retry-after") ?? "").trim();
      throw new Transient(message, /^\d+$/.test(after) ? Number(after) * 1000 : undefined);
    }
    throw new Failed(`http-${this.status}`, message);
  }

  /** The JSON of the body, if all went well. Throws as `success`, and Failed with `bad-json`. */
  json() {
    const text = this.success().text();
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new Failed("bad-json", error.message);
    }
  }
}

const fields = (pairs) =>
  Object.entries(pairs)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join("&");

/** Sends a request. Any status is an answer: see `Response`. */
export function request(method, url, options = {}) {
  const { query, headers = {}, json, form, body, basicAuth, timeoutMs, insecure } = options;
  const pairs = Object.entries(headers).map(([name, value]) => [name, String(value)]);
  let whole = url;
  if (query && Object.keys(query).length > 0) {
    whole += `${url.includes("?") ? "&" : "?"}${fields(query)}`;
  }
  let bytes = typeof body === "string" ? encode(body) : body;
  if (json !== undefined) {
    pairs.push(["content-type", "application/json"]);
    bytes = encode(JSON.stringify(json));
  } else if (form !== undefined) {
    pairs.push(["content-type", "application/x-www-form-urlencoded"]);
    bytes = encode(fields(form));
  }
  if (basicAuth) pairs.push(["authorization", `Basic ${base64(encode(basicAuth.join(":")))}`]);
  return host().send({
    method,
    url: whole,
    headers: pairs,
    body: bytes,
    timeoutMs: timeoutMs === undefined ? undefined : Math.max(1, Math.round(timeoutMs)),
    insecure: insecure === true,
  });
}

export const get = (url, options) => request("GET", url, options);
export const post = (url, options) => request("POST", url, options);

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [a, b, c] = [bytes[at], bytes[at + 1] ?? 0, bytes[at + 2] ?? 0];
    const bits = (a << 16) | (b << 8) | c;
    const count = Math.min(3, bytes.length - at) + 1;
    for (let index = 0; index < 4; index += 1) {
      text += index < count ? ALPHABET[(bits >> (18 - 6 * index)) & 63] : "=";
    }
  }
  return text;
}
