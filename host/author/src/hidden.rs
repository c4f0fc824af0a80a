//! What must not be shown or written down: values of secrets, wherever they turn up.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;
use url::form_urlencoded;

/// Values that are taken out of texts, and what stands in their places.
#[derive(Clone, Default)]
pub struct Hidden {
    /// Longer ones first, so that no part of one is taken for another.
    forms: Vec<(String, String)>,
}

/// What stands in the place of a secret. A trial gives a component this instead, so that what was
/// recorded with the one can be replayed with the other.
pub fn made_up(name: &str) -> String {
    format!("secret-{name}")
}

impl Hidden {
    /// Hide a value as it is, and as it looks in URLs, in JSON and in base64. An empty one hides
    /// nothing.
    pub fn hide(&mut self, name: &str, value: &str) {
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        let instead = made_up(name);
        let mut forms = vec![value.to_owned()];
        let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
        forms.push(form.replace('+', "%20"));
        forms.push(form);
        forms.push(Value::from(value).to_string().trim_matches('"').to_owned());
        for base64 in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            forms.push(base64.encode(value));
        }
        self.forms.extend(forms.into_iter().map(|form| (form, instead.clone())));
        self.forms.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then_with(|| a.cmp(b)));
        self.forms.dedup();
    }

    /// Hide a credential in a header: all of it, and what stands after its scheme.
    pub fn hide_header(&mut self, name: &str, value: &str) {
        if let Some((_, after)) = value.trim().split_once(' ') {
            self.hide(name, after);
        }
        self.hide(name, value);
    }

    /// A text without them.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (form, instead) in &self.forms {
            if text.contains(form.as_str()) {
                text = text.replace(form.as_str(), instead);
            }
        }
        text
    }

    /// A value without them, in names of members too.
    pub fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| (self.text(name), self.value(value))).collect()
            }
            // A number can be a secret as well.
            Value::Number(number) => {
                let text = number.to_string();
                match self.text(&text) {
                    hidden if hidden != text => Value::String(hidden),
                    _ => value.clone(),
                }
            }
            Value::Null | Value::Bool(_) => value.clone(),
        }
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hidden").field("count", &self.forms.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let mut hidden = Hidden::default();
        hidden.hide("token", "p&ss \"w/rd");
        hidden.hide_header("credential", "Bearer abc.def");
        let texts = [
            ("http://a/?t=p%26ss+%22w%2Frd", "http://a/?t=secret-token"),
            ("http://a/?t=p%26ss%20%22w%2Frd", "http://a/?t=secret-token"),
            (r#"{"t": "p&ss \"w/rd"}"#, r#"{"t": "secret-token"}"#),
            ("Bearer abc.def", "secret-credential"),
            ("token abc.def", "token secret-credential"),
            ("cCZzcyAidy9yZA==", "secret-token"),
            ("nothing to hide", "nothing to hide"),
        ];
        for (text, without) in texts {
            assert_eq!(hidden.text(text), without);
        }
        let value = json!({"a": ["x p&ss \"w/rd"], "abc.def": 1});
        let without = json!({"a": ["x secret-token"], "secret-credential": 1});
        assert_eq!(hidden.value(&value), without);
    }

    #[test]
    fn an_empty_secret_hides_nothing_and_a_longer_one_goes_first() {
        let mut hidden = Hidden::default();
        hidden.hide("empty", " ");
        assert_eq!(hidden.text("as it was"), "as it was");
        hidden.hide("short", "hunter");
        hidden.hide("long", "hunter2");
        assert_eq!(hidden.text("hunter2 hunter"), "secret-long secret-short");
        assert!(!format!("{hidden:?}").contains("hunter"));
    }

    #[test]
    fn a_number_that_is_a_secret_is_hidden_too() {
        let mut hidden = Hidden::default();
        hidden.hide("pin", "4711");
        assert_eq!(
            hidden.value(&json!({"pin": 4711, "n": 5})),
            json!({"pin": "secret-pin", "n": 5})
        );
    }
}
