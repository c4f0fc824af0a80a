// Why a plugin did not do what it was asked. There are three kinds, and never more.

/** What the user configured is wrong, and trying again will not help. Name the field. */
export class InvalidConfig extends Error {}

/** Worth another try: the other side cannot be reached, or is busy. */
export class Transient extends Error {
  constructor(message, afterMs) {
    super(message);
    this.afterMs = afterMs;
  }
}

/** Neither the user's mistake nor worth another try. The code is lower-kebab-case. */
export class Failed extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}
