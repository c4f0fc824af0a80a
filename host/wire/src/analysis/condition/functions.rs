//! The functions that conditions have beyond those of the language.

use expr::{Environment, Error, Result, Value};

use super::value::type_name;

/// Names that a condition may call besides the built-in ones.
pub(super) const NAMES: &[&str] = &["asFloat", "asInt", "default", "isInf", "isNaN", "isNil"];

/// What an index is translated to: unlike the built-in one, it fails beyond the end of a list.
pub(super) const AT: &str = "__at";

/// Add them. `isNil` and `default` look at the whole result whatever their argument is; that is
/// what conditions in the field were written against.
pub(super) fn add<'e>(environment: &mut Environment<'e>, result: &'e Value) {
    environment.add_function("asInt", |call| as_int(one("asInt", call.args)?));
    environment.add_function("asFloat", |call| as_float(one("asFloat", call.args)?));
    environment.add_function("isNaN", |call| number("isNaN", call.args, f64::is_nan));
    environment.add_function("isInf", |call| number("isInf", call.args, f64::is_infinite));
    environment.add_function("isNil", |call| {
        one("isNil", call.args)?;
        Ok(Value::Bool(matches!(result, Value::Nil)))
    });
    environment.add_function("default", |call| {
        let [_, default] = two("default", call.args)?;
        Ok(if matches!(result, Value::Nil) { default } else { result.clone() })
    });
    environment.add_function(AT, |call| at(two("[]", call.args)?));
}

fn fail<T>(message: String) -> Result<T> {
    Err(Error::ExprError(message))
}

fn one(name: &str, args: Vec<Value>) -> Result<Value> {
    let count = args.len();
    let wrong = || format!("{name} takes one argument and was given {count}");
    let [arg] = <[Value; 1]>::try_from(args).map_err(|_| Error::ExprError(wrong()))?;
    Ok(arg)
}

fn two(name: &str, args: Vec<Value>) -> Result<[Value; 2]> {
    let count = args.len();
    let wrong = || format!("{name} takes two arguments and was given {count}");
    <[Value; 2]>::try_from(args).map_err(|_| Error::ExprError(wrong()))
}

fn number(name: &str, args: Vec<Value>, is: fn(f64) -> bool) -> Result<Value> {
    match one(name, args)? {
        Value::Float(number) => Ok(Value::Bool(is(number))),
        Value::Integer(_) => Ok(Value::Bool(false)),
        other => fail(format!("{name}() takes a number, not {}", type_name(&other))),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "asInt cuts fractions off; `as` saturates")]
fn as_int(value: Value) -> Result<Value> {
    match value {
        Value::Integer(number) => Ok(Value::Integer(number)),
        Value::Float(number) => Ok(Value::Integer(number as i64)),
        Value::String(text) => match text.parse() {
            Ok(number) => Ok(Value::Integer(number)),
            Err(_) => fail(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")),
        },
        other => fail(format!("asInt() not supported on {}", type_name(&other))),
    }
}

#[expect(clippy::cast_precision_loss, reason = "asFloat is asked to do just that")]
fn as_float(value: Value) -> Result<Value> {
    match value {
        Value::Integer(number) => Ok(Value::Float(number as f64)),
        Value::Float(number) => Ok(Value::Float(number)),
        Value::String(text) => match text.parse() {
            Ok(number) => Ok(Value::Float(number)),
            Err(_) => fail(format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")),
        },
        other => fail(format!("asFloat() not supported on {}", type_name(&other))),
    }
}

/// An element of a list, counted from the end if the index is negative, or a field of an object.
fn at([value, key]: [Value; 2]) -> Result<Value> {
    match (value, &key) {
        (Value::Array(items), Value::Integer(_) | Value::Float(_)) => {
            let Value::Integer(index) = as_int(key)? else { return Ok(Value::Nil) };
            let length = items.len();
            let from_end = usize::try_from(index.unsigned_abs()).ok();
            let found = if index < 0 {
                from_end.and_then(|back| length.checked_sub(back))
            } else {
                from_end
            };
            match found.and_then(|found| items.into_iter().nth(found)) {
                Some(item) => Ok(item),
                None => fail(format!("index out of range: {index} (array length is {length})")),
            }
        }
        (Value::Map(fields), Value::String(name)) => {
            Ok(fields.get(name).cloned().unwrap_or(Value::Nil))
        }
        (value, key) => fail(format!("cannot fetch {} from {}", type_name(key), type_name(&value))),
    }
}
