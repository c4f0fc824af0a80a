//! From the language of Argo's conditions to what the `expr-lang` crate understands, token by
//! token; and the bounds that a condition has to keep.

use super::functions::{AT, NAMES};

/// The most bytes of a condition.
const MAX_BYTES: usize = 4096;
/// The most tokens of a condition; they bound how deep the evaluator recurses.
const MAX_TOKENS: usize = 256;
/// How deep brackets may nest, and how many indices may follow each other.
const MAX_DEPTH: usize = 24;
/// How deep slices and list literals may nest: parsing them takes time exponential in that.
const MAX_LISTS: usize = 6;
/// How many `let` a condition may have: each can double the memory that it needs.
const MAX_LETS: usize = 4;
/// How long a range may be.
const MAX_RANGE: i64 = 10_000;

const KEYWORDS: &[&str] = &[
    "and",
    "contains",
    "else",
    "endsWith",
    "false",
    "if",
    "in",
    "let",
    "matches",
    "nil",
    "not",
    "or",
    "startsWith",
    "true",
];

const BUILTINS: &[&str] = &[
    "abs",
    "all",
    "any",
    "bitand",
    "bitnand",
    "bitnot",
    "bitor",
    "bitshl",
    "bitshr",
    "bitushr",
    "bitxor",
    "ceil",
    "concat",
    "count",
    "date",
    "duration",
    "filter",
    "find",
    "findIndex",
    "findLast",
    "findLastIndex",
    "first",
    "flatten",
    "float",
    "floor",
    "fromBase64",
    "fromJSON",
    "fromPairs",
    "get",
    "groupBy",
    "hasPrefix",
    "hasSuffix",
    "indexOf",
    "int",
    "join",
    "keys",
    "last",
    "lastIndexOf",
    "len",
    "lower",
    "map",
    "max",
    "mean",
    "median",
    "min",
    "none",
    "now",
    "one",
    "reduce",
    "repeat",
    "replace",
    "reverse",
    "round",
    "sort",
    "sortBy",
    "split",
    "splitAfter",
    "string",
    "sum",
    "take",
    "timezone",
    "toBase64",
    "toJSON",
    "toPairs",
    "trim",
    "trimPrefix",
    "trimSuffix",
    "type",
    "uniq",
    "upper",
    "values",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'s> {
    Word(&'s str),
    Number(&'s str),
    Text(&'s str),
    Mark(&'s str),
}

impl<'s> Token<'s> {
    fn text(self) -> &'s str {
        match self {
            Self::Word(text) | Self::Number(text) | Self::Text(text) | Self::Mark(text) => text,
        }
    }

    fn is(self, mark: &str) -> bool {
        self == Token::Mark(mark)
    }

    fn negates(self) -> bool {
        self.is("!") || self == Token::Word("not")
    }
}

/// Translate a condition, or say in one line what is wrong with it.
pub(super) fn translate(condition: &str) -> Result<String, String> {
    if condition.len() > MAX_BYTES {
        return Err(format!("the expression is longer than {MAX_BYTES} bytes"));
    }
    let tokens = tokens(condition)?;
    if tokens.len() > MAX_TOKENS {
        return Err(format!("the expression has more than {MAX_TOKENS} parts"));
    }
    if tokens.iter().filter(|token| **token == Token::Word("let")).count() > MAX_LETS {
        return Err(format!("the expression has more than {MAX_LETS} let"));
    }
    ranges(&tokens)?;
    let mut reader = Reader { tokens: &tokens, at: 0, depth: 0, lists: 0, bound: Vec::new() };
    let (text, _) = reader.group("")?;
    Ok(text)
}

/// A syntax error in one line. The parser's own is a picture of the translated text.
pub(super) fn syntax_error(text: &str, error: &expr::Error) -> String {
    let said = error.to_string();
    let column = said
        .split_once("--> 1:")
        .and_then(|(_, rest)| rest.split(char::is_whitespace).next()?.parse::<usize>().ok());
    match column {
        Some(column) => {
            let rest: String = text.chars().skip(column.saturating_sub(1)).take(40).collect();
            match rest.trim() {
                "" => "unexpected end of the expression".to_owned(),
                rest => format!("unexpected syntax at {rest:?}"),
            }
        }
        None => said.lines().next().unwrap_or("invalid syntax").to_owned(),
    }
}

/// A range may only have two numbers for its bounds, alone between brackets or commas, so that
/// its length is known before it is built.
fn ranges(tokens: &[Token<'_>]) -> Result<(), String> {
    for (at, _) in tokens.iter().enumerate().filter(|(_, token)| token.is("..")) {
        let number = |token: Option<&Token<'_>>| match token {
            Some(Token::Number(text)) => text.parse::<i64>().ok(),
            _ => None,
        };
        let low = at.checked_sub(1).and_then(|at| number(tokens.get(at)));
        let before = at.checked_sub(2).and_then(|at| tokens.get(at));
        let opens = before.is_none_or(|token| {
            ["(", "[", "{", ","].iter().any(|mark| token.is(mark)) || *token == Token::Word("in")
        });
        let high = number(tokens.get(at + 1));
        let after = tokens.get(at + 2);
        let closes = after.is_none_or(|token| {
            [")", "]", "}", ",", "|", "&&", "||"].iter().any(|mark| token.is(mark))
                || [Token::Word("and"), Token::Word("or")].contains(token)
        });
        match (low, high) {
            (Some(low), Some(high)) if opens && closes && high - low <= MAX_RANGE => {}
            _ => {
                return Err(format!(
                    "a range takes two whole numbers at most {MAX_RANGE} apart, such as 1..10"
                ));
            }
        }
    }
    Ok(())
}

struct Reader<'t, 's> {
    tokens: &'t [Token<'s>],
    at: usize,
    depth: usize,
    lists: usize,
    /// Names that `let` introduced so far.
    bound: Vec<&'s str>,
}

impl<'s> Reader<'_, 's> {
    fn peek(&self, ahead: usize) -> Option<Token<'s>> {
        self.tokens.get(self.at + ahead).copied()
    }

    fn peek_is(&self, ahead: usize, mark: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.is(mark))
    }

    /// Everything up to the closing mark, which is taken as well, and whether there was a colon
    /// that belongs to no question mark.
    fn group(&mut self, close: &str) -> Result<(String, bool), String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("brackets nest deeper than {MAX_DEPTH}"));
        }
        let mut said: Vec<String> = Vec::new();
        let (mut questions, mut slice) = (0u32, false);
        loop {
            let Some(token) = self.peek(0) else {
                if close.is_empty() {
                    break;
                }
                return Err(format!("unexpected end of the expression: {close} is missing"));
            };
            if !close.is_empty() && token.is(close) {
                self.at += 1;
                break;
            }
            if self.starts_operand(token) {
                let operand = self.operand(token)?;
                said.push(operand);
                continue;
            }
            self.at += 1;
            match token {
                Token::Mark("?") => questions += 1,
                Token::Mark(":") if questions > 0 => questions -= 1,
                Token::Mark(":") => slice = true,
                Token::Mark(")" | "]" | "}") => {
                    return Err(format!("unexpected {}", token.text()));
                }
                // Two negations in a row are none, and the parser takes only one.
                _ if token.negates() && self.peek(0).is_some_and(Token::negates) => {
                    let next_is_not_in = self.peek(0) == Some(Token::Word("not"))
                        && self.peek(1) == Some(Token::Word("in"));
                    if !next_is_not_in {
                        self.at += 1;
                        continue;
                    }
                }
                _ => {}
            }
            said.push(token.text().to_owned());
        }
        self.depth -= 1;
        Ok((said.join(" "), slice))
    }

    fn starts_operand(&self, token: Token<'_>) -> bool {
        match token {
            Token::Word(word) => {
                !KEYWORDS.contains(&word) || ["true", "false", "nil"].contains(&word)
            }
            Token::Number(_) | Token::Text(_) => true,
            Token::Mark(mark) => {
                let field = mark == "." && matches!(self.peek(1), Some(Token::Word(_)));
                field || ["(", "[", "{"].contains(&mark)
            }
        }
    }

    /// A value and everything that is fetched from it.
    fn operand(&mut self, token: Token<'s>) -> Result<String, String> {
        let after_let =
            self.at.checked_sub(1).and_then(|at| self.tokens.get(at)) == Some(&Token::Word("let"));
        self.at += 1;
        let mut operand = match token {
            Token::Word(word) if self.peek_is(0, "(") => {
                if !BUILTINS.contains(&word) && !NAMES.contains(&word) {
                    return Err(format!("unknown name {word}"));
                }
                self.at += 1;
                format!("{word}({})", self.group(")")?.0)
            }
            Token::Word(word) => {
                if after_let {
                    self.bound.push(word);
                }
                let known = word.starts_with('#')
                    || ["result", "$env", "true", "false", "nil"].contains(&word)
                    || self.bound.contains(&word)
                    || self.peek_is(0, ":");
                if !known {
                    return Err(format!("unknown name {word}"));
                }
                word.to_owned()
            }
            Token::Number(text) | Token::Text(text) => text.to_owned(),
            // `.field` is short for a field of the element that a predicate is about.
            Token::Mark(".") => {
                self.at -= 1;
                "#".to_owned()
            }
            Token::Mark("(") => format!("({})", self.group(")")?.0),
            Token::Mark("{") => format!("{{{}}}", self.group("}")?.0),
            Token::Mark(_) => format!("[{}]", self.list()?.0),
        };
        let mut indices = self.depth;
        while let Some(next) = self.peek(0) {
            match (next, self.peek(1)) {
                (Token::Mark("."), Some(Token::Word(field))) if self.peek_is(2, "(") => {
                    self.at += 3;
                    operand = format!("{operand}.{field}({})", self.group(")")?.0);
                }
                (Token::Mark(link @ ("." | "?.")), Some(Token::Word(field))) => {
                    self.at += 2;
                    operand = format!("{operand}{link}{field}");
                }
                (Token::Mark("?."), Some(Token::Mark("["))) => {
                    self.at += 2;
                    operand = format!("{operand}?.[{}]", self.list()?.0);
                }
                (Token::Mark("["), _) => {
                    self.at += 1;
                    indices += 1;
                    if indices > MAX_DEPTH {
                        return Err(format!("brackets nest deeper than {MAX_DEPTH}"));
                    }
                    let (inner, slice) = self.list()?;
                    operand = if slice {
                        format!("{operand}[{inner}]")
                    } else {
                        format!("{AT}({operand}, {inner})")
                    };
                }
                _ => break,
            }
        }
        Ok(operand)
    }

    fn list(&mut self) -> Result<(String, bool), String> {
        self.lists += 1;
        if self.lists > MAX_LISTS {
            return Err(format!("square brackets nest deeper than {MAX_LISTS}"));
        }
        let list = self.group("]");
        self.lists -= 1;
        list
    }
}

/// Split into tokens; white space and comments are none.
fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    const MARKS: &[&str] = &["?.", "??", "..", "**", "&&", "||", "==", "!=", "<=", ">="];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            rest = rest[end..].trim_start();
            continue;
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").ok_or("a comment does not end")?;
            rest = rest[end + 2..].trim_start();
            continue;
        } else if let Some(length) = quoted(rest) {
            let length = length?;
            tokens.push(Token::Text(&rest[..length]));
            length
        } else if first.is_ascii_digit() || (first == '.' && starts_with_digit(&rest[1..])) {
            let length = number(rest);
            tokens.push(Token::Number(&rest[..length]));
            length
        } else if is_word_start(first) {
            let end = rest[1..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let length = end.map_or(rest.len(), |end| end + 1);
            tokens.push(Token::Word(&rest[..length]));
            length
        } else {
            let mark = MARKS.iter().find(|mark| rest.starts_with(**mark));
            let length = mark.map_or(first.len_utf8(), |mark| mark.len());
            tokens.push(Token::Mark(&rest[..length]));
            length
        };
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '_' | '$' | '#')
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// The length of the string literal that `text` begins with, if it begins with one.
fn quoted(text: &str) -> Option<Result<usize, String>> {
    let prefix = usize::from(text.starts_with(['b', 'B']));
    let quote = text[prefix..].chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    if prefix == 1 && quote == '`' {
        return None;
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(prefix + 1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            _ if c == quote => return Some(Ok(at + 1)),
            _ => {}
        }
    }
    Some(Err("a string does not end".to_owned()))
}

/// The length of the number that `text` begins with.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0;
    let mut seen_dot = false;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'.' if seen_dot || bytes.get(end + 1) == Some(&b'.') => break,
            b'.' => seen_dot = true,
            b'+' | b'-' if !matches!(bytes.get(end.wrapping_sub(1)), Some(b'e' | b'E')) => break,
            b'+' | b'-' if text.starts_with("0x") || text.starts_with("0X") => break,
            byte if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'+' | b'-') => {}
            _ => break,
        }
        end += 1;
    }
    end
}
