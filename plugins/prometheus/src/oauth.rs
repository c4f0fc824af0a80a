//! A token by the client credentials of OAuth 2.0 (RFC 6749, section 4.4).

use sluice_sdk::Deserialize;
use sluice_sdk::http::{self, Builder, Response};
use sluice_sdk::metric::{Error, Result};

use crate::config::{Config, OAuth2, given};

#[derive(Deserialize)]
struct Token {
    access_token: Option<String>,
    token_type: Option<String>,
}

/// The value of the header `Authorization`, if the configuration wants a token.
///
/// # Errors
/// If there is no token. The text has nothing of the request.
pub fn authorization(config: &Config) -> Result<Option<String>> {
    let Some(oauth2) = config.oauth2() else { return Ok(None) };
    let mut response = send(by_header(oauth2), config)?;
    // Not every server reads credentials in both places, and none says so clearly.
    if (400..500).contains(&response.status) && response.status != 429 {
        response = send(by_form(oauth2), config)?;
    }
    if !response.is_success() {
        let status = response.status;
        return Err(response.refusal(format!("oauth2: cannot fetch token: HTTP {status}")));
    }
    let broken = |why: &str| Error::failed("oauth2", format!("oauth2: cannot fetch token: {why}"));
    let token: Token = response.json().map_err(|_| broken("the answer is not JSON"))?;
    let access = token.access_token.filter(|text| !text.is_empty());
    let access = access.ok_or_else(|| broken("the answer has no access_token"))?;
    let kind = match token.token_type {
        Some(kind) if !kind.is_empty() && !kind.eq_ignore_ascii_case("bearer") => kind,
        _ => "Bearer".to_owned(),
    };
    Ok(Some(format!("{kind} {access}")))
}

fn by_header(oauth2: &OAuth2) -> Builder {
    let escaped = |text: Option<&String>| {
        // The name that `encode` wants is not part of what is escaped.
        http::encode(&[("", given(text))]).split_off(1)
    };
    let id = escaped(oauth2.client_id.as_ref());
    let secret = escaped(oauth2.client_secret.as_ref());
    let fields = fields(oauth2);
    http::post(given(oauth2.token_url.as_ref())).basic_auth(&id, &secret).form(&fields)
}

fn by_form(oauth2: &OAuth2) -> Builder {
    let mut fields = fields(oauth2);
    fields.push(("client_id", given(oauth2.client_id.as_ref()).to_owned()));
    fields.push(("client_secret", given(oauth2.client_secret.as_ref()).to_owned()));
    http::post(given(oauth2.token_url.as_ref())).form(&fields)
}

fn fields(oauth2: &OAuth2) -> Vec<(&'static str, String)> {
    let mut fields = vec![("grant_type", "client_credentials".to_owned())];
    if let Some(scopes) = oauth2.scopes.as_ref().filter(|scopes| !scopes.is_empty()) {
        fields.push(("scope", scopes.join(" ")));
    }
    fields
}

fn send(request: Builder, config: &Config) -> Result<Response> {
    request
        .header("accept", "application/json")
        .timeout(config.timeout())
        .insecure(config.insecure == Some(true))
        .send()
}
