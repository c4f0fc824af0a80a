//! What a user writes under `provider.prometheus`.

use std::time::Duration;

use sluice_sdk::metric::{Error, Result};
use sluice_sdk::{Deserialize, env};

use crate::address;
use crate::expression::{self, Moment};
use crate::sigv4;

/// The provider's configuration. What is left out and what is `null` is the same.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// The server's URL, without `/api/v1`.
    pub address: Option<String>,
    /// The query, in PromQL.
    pub query: Option<String>,
    /// How many seconds to wait for an answer. Default, also for 0: 30.
    pub timeout: Option<i64>,
    /// Whether the server's certificate goes unchecked. Default: false.
    pub insecure: Option<bool>,
    /// Headers to send with the query.
    pub headers: Option<Vec<Header>>,
    /// Asks for a range instead of one instant.
    pub range_query: Option<Range>,
    /// How to sign in.
    pub authentication: Option<Authentication>,
}

/// A header.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// A range of time.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Range {
    /// An expression for its start.
    pub start: Option<String>,
    /// An expression for its end.
    pub end: Option<String>,
    /// How long from one value to the next, such as `1m`.
    pub step: Option<String>,
}

/// How to sign in. A token goes before a password.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Authentication {
    /// With a name and a password.
    pub basic_auth: Option<BasicAuth>,
    /// With a token that a client gets for itself.
    pub oauth2: Option<OAuth2>,
    /// With a signature for AWS.
    pub sigv4: Option<Sigv4>,
}

/// A name and a password.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    /// The name.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
}

/// The client credentials of OAuth 2.0.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OAuth2 {
    /// Where tokens are.
    pub token_url: Option<String>,
    /// The client's name.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<String>,
    /// What the token is to be good for.
    pub scopes: Option<Vec<String>>,
}

/// A signature for AWS.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Sigv4 {
    /// The region.
    pub region: Option<String>,
    /// The profile.
    pub profile: Option<String>,
    /// The role to assume.
    pub role_arn: Option<String>,
}

/// A range whose expressions are evaluated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Its start.
    pub start: Moment,
    /// Its end.
    pub end: Moment,
    /// How long from one value to the next, in milliseconds; more than 0.
    pub step_ms: i64,
}

impl Config {
    /// Checks what can be checked without a server.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] that names the field.
    pub fn check(&self) -> Result<()> {
        let address = self.address();
        address::check(&address)?;
        if given(self.query.as_ref()).trim().is_empty() {
            return Err(wrong("query: must not be empty"));
        }
        if self.timeout.is_some_and(|seconds| seconds < 0) {
            return Err(wrong("timeout: prometheus timeout should not be negative"));
        }
        self.span(0)?;
        match &self.authentication {
            Some(authentication) => authentication.check(&address),
            None => Ok(()),
        }
    }

    /// The server: the one given, else the one that the controller was given for all.
    pub fn address(&self) -> String {
        let own = self.address.clone().filter(|address| !address.is_empty());
        own.or_else(|| env::var(address::VARIABLE)).unwrap_or_default()
    }

    /// How long to wait for one answer.
    pub fn timeout(&self) -> Duration {
        match self.timeout.map(u64::try_from) {
            Some(Ok(seconds)) if seconds > 0 => Duration::from_secs(seconds),
            _ => Duration::from_secs(30),
        }
    }

    /// The range to ask for, if it is one, as seen at this time in milliseconds since the epoch.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`], if an expression or the step is not understood.
    pub fn span(&self, now_ms: i64) -> Result<Option<Span>> {
        let Some(range) = &self.range_query else { return Ok(None) };
        let at = |field: &str, text: Option<&String>| {
            expression::moment(given(text), now_ms)
                .map_err(|why| wrong(format!("rangeQuery.{field}: failed to parse as time: {why}")))
        };
        let step =
            |why: String| wrong(format!("rangeQuery.step: failed to parse as duration: {why}"));
        let step_ms = expression::duration(given(range.step.as_ref())).map_err(step)?;
        if step_ms <= 0 {
            return Err(wrong("rangeQuery.step: must be at least 1ms"));
        }
        let start = at("start", range.start.as_ref())?;
        Ok(Some(Span { start, end: at("end", range.end.as_ref())?, step_ms }))
    }

    /// How to sign in with a token, if that is wanted.
    pub fn oauth2(&self) -> Option<&OAuth2> {
        self.authentication.as_ref()?.oauth2.as_ref().filter(|oauth2| oauth2.is_wanted())
    }

    /// Name and password, if they are wanted.
    pub fn basic_auth(&self) -> Option<(&str, &str)> {
        let basic = self.authentication.as_ref()?.basic_auth.as_ref()?;
        let pair = (given(basic.username.as_ref()), given(basic.password.as_ref()));
        (!pair.0.is_empty() && !pair.1.is_empty()).then_some(pair)
    }
}

impl Authentication {
    fn check(&self, address: &str) -> Result<()> {
        if let Some(basic) = &self.basic_auth {
            let name = given(basic.username.as_ref());
            if name.is_empty() != given(basic.password.as_ref()).is_empty() {
                return Err(wrong(
                    "authentication.basicAuth: username and password must both be set, or neither",
                ));
            }
        }
        if let Some(oauth2) = self.oauth2.as_ref().filter(|oauth2| oauth2.is_wanted()) {
            oauth2.check()?;
        }
        match &self.sigv4 {
            Some(sigv4) if sigv4::is_for(address) => sigv4.check(),
            _ => Ok(()),
        }
    }
}

impl OAuth2 {
    fn is_wanted(&self) -> bool {
        let texts = [&self.token_url, &self.client_id, &self.client_secret];
        texts.into_iter().any(|text| !given(text.as_ref()).is_empty())
    }

    fn check(&self) -> Result<()> {
        let fields = [
            ("tokenUrl", &self.token_url),
            ("clientId", &self.client_id),
            ("clientSecret", &self.client_secret),
        ];
        match fields.into_iter().find(|(_, text)| given(text.as_ref()).is_empty()) {
            Some((field, _)) => Err(wrong(format!(
                "authentication.oauth2.{field}: missing mandatory parameter in metric for OAuth2 \
                 setup"
            ))),
            None => Ok(()),
        }
    }
}

impl Sigv4 {
    fn check(&self) -> Result<()> {
        for (field, text) in [("profile", &self.profile), ("roleArn", &self.role_arn)] {
            if !given(text.as_ref()).is_empty() {
                return Err(wrong(format!(
                    "authentication.sigv4.{field}: only the credentials in the controller's \
                     environment can be used, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; remove \
                     the field, or let `address` lead to a proxy that signs, such as \
                     aws-sigv4-proxy"
                )));
            }
        }
        Ok(())
    }
}

/// A text that may be left out.
pub fn given(text: Option<&String>) -> &str {
    text.map(String::as_str).unwrap_or_default()
}

fn wrong(message: impl Into<String>) -> Error {
    Error::invalid_config(message)
}
