//! Signature version 4 of AWS, which Amazon Managed Service for Prometheus asks for.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use sluice_sdk::http::Request;
use sluice_sdk::{Error, Result, env};

use crate::config::{Config, given};

/// The service's name in signatures.
const SERVICE: &str = "aps";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whether requests to `address` are signed. Elsewhere a signature means nothing.
pub fn is_for(address: &str) -> bool {
    address.contains("aps-workspaces")
}

/// What a signature is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Credentials {
    key: String,
    secret: String,
    token: Option<String>,
}

/// Signs a request to the server of AWS, and leaves every other as it is.
///
/// # Errors
/// [`Error::InvalidConfig`] if the region or the credentials are not known.
pub fn sign(request: &mut Request, config: &Config, now_ms: i64) -> Result<()> {
    if !is_for(&config.address()) {
        return Ok(());
    }
    let variable = |name: &str| env::var(name).filter(|value| !value.is_empty());
    let sigv4 = config.authentication.as_ref().and_then(|a| a.sigv4.as_ref());
    let region = sigv4.map(|sigv4| given(sigv4.region.as_ref()).to_owned());
    let region = region.filter(|region| !region.is_empty()).or_else(|| variable("AWS_REGION"));
    let (Some(region), Some(key), Some(secret)) =
        (region, variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
    else {
        return Err(Error::invalid_config(
            "authentication.sigv4: a request to AWS is signed with `region` and with \
             AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the controller's environment; one of \
             them is not set",
        ));
    };
    let credentials = Credentials { key, secret, token: variable("AWS_SESSION_TOKEN") };
    sign_with(request, &credentials, &region, SERVICE, now_ms);
    Ok(())
}

fn sign_with(
    request: &mut Request,
    credentials: &Credentials,
    region: &str,
    service: &str,
    now_ms: i64,
) {
    let time = timestamp(now_ms);
    let day = &time[..8];
    let (host, path, query) = parts(&request.url);
    let mut headers = vec![("host", host.as_str()), ("x-amz-date", &time)];
    headers.extend(credentials.token.as_deref().map(|token| ("x-amz-security-token", token)));
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let payload = hex(&Sha256::digest(request.body.as_deref().unwrap_or_default()));
    let canonical = format!("{}\n{path}\n{query}\n{lines}\n{names}\n{payload}", request.method);
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let text = format!("{ALGORITHM}\n{time}\n{scope}\n{digest}");
    let first = format!("AWS4{}", credentials.secret).into_bytes();
    let key = [day, region, service, "aws4_request"].into_iter().fold(first, hmac);
    let signature = hex(&hmac(key, &text));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        credentials.key
    );
    let token = credentials.token.clone().map(|token| ("x-amz-security-token".to_owned(), token));
    request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    request.headers.push(("x-amz-date".to_owned(), time));
    request.headers.extend(token);
    request.headers.push(("authorization".to_owned(), authorization));
}

fn hmac(key: Vec<u8>, text: &str) -> Vec<u8> {
    // A key of any length is a key.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return Vec::new() };
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Host, path and sorted query of an absolute URL, as they are signed. The path is escaped once
/// more than in the request, but for services that say otherwise; this one does not.
fn parts(url: &str) -> (String, String, String) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let mut fields: Vec<_> = query.split('&').filter(|field| !field.is_empty()).collect();
    fields.sort_unstable();
    let host = host.rsplit('@').next().unwrap_or(host);
    (host.to_lowercase(), path.replace('%', "%25"), fields.join("&").replace('+', "%20"))
}

/// Such as `20150830T123600Z`.
fn timestamp(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Year, month and day of a number of days since the epoch. Years are counted from March, so that
/// the leap day is the last of a year; 400 of them have 146,097 days.
fn date(days: i64) -> (i64, i64, i64) {
    let since = days + 719_468;
    let era = since.div_euclid(146_097);
    let day_of_era = since.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2015-08-30T12:36:00Z, the time of AWS's published examples.
    const THEN: i64 = 1_440_938_160_000;

    fn example() -> Credentials {
        Credentials {
            key: "AKIDEXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        }
    }

    fn signature(request: &mut Request) -> String {
        sign_with(request, &example(), "us-east-1", "service", THEN);
        let (_, value) = request.headers.iter().find(|(name, _)| name == "authorization").unwrap();
        value.rsplit('=').next().unwrap().to_owned()
    }

    #[test]
    fn the_examples_that_aws_publishes_come_out() {
        let mut vanilla = Request {
            method: "GET".into(),
            url: "https://example.amazonaws.com/".into(),
            ..Request::default()
        };
        let expected = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        assert_eq!(signature(&mut vanilla), expected);
        let mut query = Request {
            method: "GET".into(),
            url: "https://example.amazonaws.com/?Param2=value2&Param1=value1".into(),
            ..Request::default()
        };
        let expected = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500";
        assert_eq!(signature(&mut query), expected);
        let mut post = Request {
            method: "POST".into(),
            url: "https://example.amazonaws.com/".into(),
            ..Request::default()
        };
        let expected = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        assert_eq!(signature(&mut post), expected);
    }

    #[test]
    fn times_are_written_as_aws_wants_them() {
        assert_eq!(timestamp(THEN), "20150830T123600Z");
        assert_eq!(timestamp(0), "19700101T000000Z");
        assert_eq!(timestamp(951_782_399_999), "20000228T235959Z");
        assert_eq!(timestamp(951_782_400_000), "20000229T000000Z");
        assert_eq!(timestamp(1_796_083_199_000), "20261130T235959Z");
    }
}
