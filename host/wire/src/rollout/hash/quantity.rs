//! Quantities in the form in which Kubernetes writes them: `0.5` is `500m`, `1024Mi` is `1Gi`.
//!
//! A text that is canonical already by a cheap look stays as it was written, so `007` and `1.500`
//! keep their form: what is wanted is the form that Go gives, not the best one.

/// The smallest power of ten that is told apart.
const NANO: i32 = -9;
/// So many digits fit into 64 bits whatever they are.
const DIGITS: i32 = 18;
/// What is more in a binary form is cut down to this.
const MOST: i128 = i64::MAX as i128;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Decimal,
    Binary,
    Exponent,
}

/// A quantity as it was written.
struct Written<'t> {
    text: &'t str,
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    /// The power that the suffix stands for: of two for [`Form::Binary`], else of ten.
    power: i32,
    form: Form,
}

/// The canonical form; `None` if this is no quantity, or larger than any that makes sense.
pub(super) fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    let written = split(text)?;
    if let Some(short) = written.short() {
        return Some(short);
    }
    written.long()
}

fn split(text: &str) -> Option<Written<'_>> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = rest.split_at(digits(rest));
    let (fraction, suffix, dotted) = match rest.strip_prefix('.') {
        Some(rest) => {
            let (fraction, suffix) = rest.split_at(digits(rest));
            (fraction, suffix, true)
        }
        None => ("", rest, false),
    };
    if whole.is_empty() && !dotted {
        return None;
    }
    let (power, form) = suffix_of(suffix)?;
    let whole = whole.trim_start_matches('0');
    Some(Written { text, negative, whole, fraction, power, form })
}

fn suffix_of(suffix: &str) -> Option<(i32, Form)> {
    let decimal = DECIMAL.iter().find(|(_, name)| *name == suffix);
    let binary = BINARY.iter().position(|name| *name == suffix).filter(|place| *place > 0);
    if let Some((power, _)) = decimal {
        return Some((*power, Form::Decimal));
    }
    if let Some(place) = binary {
        return Some((i32::try_from(place).ok()? * 10, Form::Binary));
    }
    let power = suffix.strip_prefix(['e', 'E'])?;
    Some((power.parse().ok()?, Form::Exponent))
}

const DECIMAL: [(i32, &str); 10] = [
    (-9, "n"),
    (-6, "u"),
    (-3, "m"),
    (0, ""),
    (3, "k"),
    (6, "M"),
    (9, "G"),
    (12, "T"),
    (15, "P"),
    (18, "E"),
];
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

impl Written<'_> {
    /// Leading zeros are not among the digits, and a missing whole part is one zero.
    fn digits(&self) -> String {
        let whole = if self.whole.is_empty() { "0" } else { self.whole };
        format!("{whole}{}", self.fraction)
    }

    fn places(&self) -> i32 {
        i32::try_from(self.fraction.len()).unwrap_or(i32::MAX)
    }

    /// The text itself, where it can be used as it is.
    fn short(&self) -> Option<String> {
        let digits = self.digits();
        let count = i32::try_from(digits.len()).ok()?;
        let fits = match self.form {
            Form::Decimal | Form::Exponent => {
                count <= DIGITS && self.power.checked_sub(self.places())? >= NANO
            }
            // One binary power is about a third of a digit.
            Form::Binary => self.fraction.is_empty() && 15 - count - self.power * 3 / 10 > 0,
        };
        if !fits {
            return None;
        }
        let value: i64 = digits.parse().ok()?;
        let kept = match self.form {
            Form::Binary => {
                value.checked_mul(1i64.checked_shl(u32::try_from(self.power).ok()?)?)?;
                value & 7 != 0
            }
            Form::Decimal | Form::Exponent => {
                (self.power - self.places()) % 3 == 0
                    && !digits.ends_with("000")
                    && !digits.starts_with('0')
            }
        };
        kept.then(|| self.text.to_owned())
    }

    /// The form that follows from the value.
    fn long(&self) -> Option<String> {
        let value = self.nanos()?;
        if value == 0 {
            return Some("0".to_owned());
        }
        let one = 10i128.pow(NANO.unsigned_abs());
        let sign = if self.negative { "-" } else { "" };
        let mut form = self.form;
        let value = if form == Form::Binary { value.min(MOST * one) } else { value };
        if form == Form::Binary {
            if value < 1024 * one || value % one != 0 {
                form = Form::Decimal;
            } else {
                let (amount, place) = factors(value / one, 1024);
                let suffix = BINARY.get(usize::try_from(place).ok()?).unwrap_or(&"");
                return Some(format!("{sign}{amount}{suffix}"));
            }
        }
        let (mut amount, times) = factors(value, 10);
        let mut power = NANO + times;
        while power % 3 != 0 {
            amount *= 10;
            power -= 1;
        }
        let suffix = match form {
            Form::Exponent if power != 0 => format!("e{power}"),
            Form::Exponent => String::new(),
            Form::Decimal | Form::Binary => {
                let known = DECIMAL.iter().find(|(known, _)| *known == power);
                known.map(|(_, name)| (*name).to_owned()).unwrap_or_default()
            }
        };
        Some(format!("{sign}{amount}{suffix}"))
    }

    /// The size of the value in billionths, rounded up; `None` if it does not fit.
    fn nanos(&self) -> Option<i128> {
        let mut value: i128 = self.digits().parse().ok()?;
        let mut power = self.places().checked_neg()?.checked_sub(NANO)?;
        match self.form {
            Form::Decimal | Form::Exponent => power = power.checked_add(self.power)?,
            Form::Binary => {
                value = value.checked_mul(1i128.checked_shl(u32::try_from(self.power).ok()?)?)?;
            }
        }
        let factor = 10i128.checked_pow(power.unsigned_abs());
        if power >= 0 {
            return if value == 0 { Some(0) } else { value.checked_mul(factor?) };
        }
        // Who asks for a little gets a little, and not nothing.
        Some(factor.map_or_else(
            || i128::from(value != 0),
            |factor| value / factor + i128::from(value % factor != 0),
        ))
    }
}

/// How often `value`, which is not zero, can be divided, and what is left.
fn factors(mut value: i128, by: i128) -> (i128, i32) {
    let mut times = 0;
    while value % by == 0 {
        value /= by;
        times += 1;
    }
    (value, times)
}
