//! The provider, against answers as Prometheus 3.5 gives them.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

use sluice_plugin_prometheus::Prometheus;
use sluice_sdk::http::{HttpError, Response};
use sluice_sdk::metric::{Error, Measurement, Outcome};
use sluice_sdk::testing::{Host, Ran};
use sluice_sdk::{Value, json};

const QUERY: &str = "POST http://p:9090/api/v1/query";
const UNCONFIGURED: &str = "address: prometheus address is not configured; set it here, or \
     ARGO_ROLLOUTS_PROMETHEUS_ADDRESS for the controller";
const RANGE: &str = "POST http://p:9090/api/v1/query_range";

fn config() -> Value {
    json!({ "address": "http://p:9090", "query": "up{job=\"a\"} == 1" })
}

fn with(extra: Value) -> Value {
    let mut config = config();
    let extra = extra.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(extra);
    config
}

fn success(kind: &str, result: Value) -> Value {
    json!({ "status": "success", "data": { "resultType": kind, "result": result } })
}

fn vector(values: &[&str]) -> Value {
    let series = |v: &&str| json!({ "metric": { "job": "a" }, "value": [1795000000.123, v] });
    success("vector", values.iter().map(series).collect())
}

fn answered(status: u16, body: Value) -> Ran<Measurement> {
    Host::new().answers(QUERY, status, body).run::<Prometheus>(config())
}

fn outcome(body: Value) -> Outcome {
    answered(200, body).result.unwrap().outcome
}

fn refused(body: Value) -> Error {
    answered(200, body).result.unwrap_err()
}

fn body(ran: &Ran<Measurement>, at: usize) -> &str {
    std::str::from_utf8(ran.requests[at].body.as_deref().unwrap()).unwrap()
}

fn header<'a>(ran: &'a Ran<Measurement>, at: usize, name: &str) -> Option<&'a str> {
    let headers = &ran.requests[at].headers;
    headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
}

#[test]
fn an_instant_query_is_posted_as_a_form() {
    let ran = answered(200, vector(&["1"]));
    assert_eq!(body(&ran, 0), "query=up%7Bjob%3D%22a%22%7D%20%3D%3D%201");
    assert_eq!(header(&ran, 0, "content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(ran.requests.len(), 1);
    assert_eq!(ran.requests[0].timeout_ms, Some(30_000));
    assert!(!ran.requests[0].insecure);
    let metadata = [("ResolvedPrometheusQuery".to_owned(), "up{job=\"a\"} == 1".to_owned())];
    assert_eq!(ran.result.unwrap().metadata, metadata);
}

#[test]
fn a_scalar_is_a_number() {
    assert_eq!(outcome(success("scalar", json!([1795000000, "0.95"]))), Outcome::Number(0.95));
    assert_eq!(
        outcome(success("scalar", json!([1795000000, "-Inf"]))),
        Outcome::Number(f64::NEG_INFINITY)
    );
}

#[test]
fn a_vector_is_numbers() {
    assert_eq!(
        outcome(vector(&["1", "+Inf", "1e-3"])),
        Outcome::Numbers(vec![1.0, f64::INFINITY, 0.001])
    );
    assert_eq!(outcome(vector(&[])), Outcome::Numbers(vec![]));
    let Outcome::Numbers(numbers) = outcome(vector(&["NaN"])) else { panic!("not numbers") };
    assert!(numbers[0].is_nan());
}

#[test]
fn a_matrix_is_the_numbers_of_its_series_in_turn() {
    let matrix = success(
        "matrix",
        json!([
            { "metric": { "pod": "a" }, "values": [[1, "1"], [2, "2"]] },
            { "metric": { "pod": "b" }, "values": [[1, "3"]] },
        ]),
    );
    assert_eq!(outcome(matrix), Outcome::Numbers(vec![1.0, 2.0, 3.0]));
}

#[test]
fn what_is_no_number_is_refused() {
    let text = refused(success("string", json!([1795000000, "hello"])));
    assert_eq!(text.message(), "Prometheus metric type not supported");
    let histogram = json!([{ "metric": {}, "histogram": [1795000000, { "count": "1" }] }]);
    let error = refused(success("vector", histogram));
    assert!(error.message().contains("histogram_quantile()"), "{error}");
}

#[test]
fn warnings_are_kept() {
    let mut answer = vector(&["1"]);
    answer["warnings"] = json!(["store a is down", "store b is down"]);
    let metadata = answered(200, answer).result.unwrap().metadata;
    let warnings = r#""store a is down", "store b is down""#;
    assert_eq!(metadata[1], ("warnings".to_owned(), warnings.to_owned()));
}

#[test]
fn errors_are_in_the_words_of_the_server() {
    let text = "invalid parameter \"query\": 1:4: parse error: unexpected end of input";
    let answer = json!({ "status": "error", "errorType": "bad_data", "error": text });
    let error = answered(400, answer).result.unwrap_err();
    assert_eq!(error, Error::failed("bad-data", format!("bad_data: {text}")));

    let text = "expanding series: context deadline exceeded";
    let answer = json!({ "status": "error", "errorType": "timeout", "error": text });
    let error = answered(503, answer).result.unwrap_err();
    assert_eq!(error, Error::transient(format!("timeout: {text}")));

    let text = "found duplicate series for the match group";
    let answer = json!({ "status": "error", "errorType": "execution", "error": text });
    let error = answered(422, answer).result.unwrap_err();
    assert_eq!(error, Error::failed("execution", format!("execution: {text}")));
}

#[test]
fn errors_without_words_have_the_status() {
    for (status, expected) in [
        (404, Error::failed("http-404", "client_error: client error: 404")),
        (502, Error::transient("server_error: server error: 502")),
        (302, Error::failed("http-302", "bad_response: bad response code 302")),
    ] {
        assert_eq!(answered(status, json!("no API here")).result, Err(expected));
    }
}

#[test]
fn answers_that_cannot_be_read_are_errors() {
    for broken in [
        json!("<html>"),
        json!({ "status": "success" }),
        success("scalar", json!([1, 2])),
        success("vector", json!({})),
        success("vector", json!([{ "metric": {} }])),
        success("matrix", json!([{ "values": [[1, "one"]] }])),
    ] {
        let error = refused(broken.clone());
        assert!(error.message().starts_with("bad_response: "), "{broken}: {error}");
    }
}

#[test]
fn a_server_that_wants_get_is_asked_by_get() {
    for status in [405, 501] {
        let ran = Host::new()
            .answers(QUERY, status, json!(null))
            .answers("GET http://p:9090/api/v1/query", 200, vector(&["1"]))
            .run::<Prometheus>(config());
        assert_eq!(ran.result.as_ref().unwrap().outcome, Outcome::Numbers(vec![1.0]));
        assert_eq!(
            ran.requests[1].url,
            "http://p:9090/api/v1/query?query=up%7Bjob%3D%22a%22%7D%20%3D%3D%201"
        );
        assert_eq!(ran.requests[1].body, None);
    }
}

#[test]
fn a_server_out_of_reach_is_worth_another_try() {
    let timeout = Host::new().fails(QUERY, HttpError::Timeout).run::<Prometheus>(config());
    assert_eq!(
        timeout.result,
        Err(Error::transient("POST http://p:9090/api/v1/query: no answer in time"))
    );
    let refused = HttpError::Connect("connection refused".to_owned());
    let refused = Host::new().fails(QUERY, refused).run::<Prometheus>(config());
    assert!(matches!(refused.result, Err(Error::Transient { .. })));
}

#[test]
fn a_password_in_the_address_is_kept_out_of_messages() {
    let ran = Host::new()
        .fails("POST http://ann:s3cret@p:9090/api/v1/query", HttpError::Timeout)
        .run::<Prometheus>(with(json!({ "address": "http://ann:s3cret@p:9090" })));
    let message = "POST http://p:9090/api/v1/query: no answer in time";
    assert_eq!(ran.result, Err(Error::transient(message)));
}

#[test]
fn a_missing_grant_is_named() {
    let ran = Host::new().run::<Prometheus>(config());
    let message = "the plugin lacks the grant POST http://p:9090/api/v1/query";
    assert_eq!(ran.result, Err(Error::failed("not-granted", message)));
}

#[test]
fn a_range_is_evaluated_when_it_is_asked_for() {
    let range = json!({ "start": "now() - duration(\"5m\")", "end": "now()", "step": "1m30s" });
    let ran = Host::new()
        .at(1_795_000_000_250)
        .answers(RANGE, 200, success("matrix", json!([])))
        .run::<Prometheus>(with(json!({ "query": "up", "rangeQuery": range })));
    assert_eq!(body(&ran, 0), "query=up&start=1794999700.250&end=1795000000.250&step=90.000");
    assert_eq!(ran.result.unwrap().outcome, Outcome::Numbers(vec![]));
}

#[test]
fn options_are_those_of_the_request() {
    let options = json!({
        "timeout": 5,
        "insecure": true,
        "headers": [{ "key": "X-Scope-OrgID", "value": "tenant" }],
        "authentication": { "basicAuth": { "username": "ann", "password": "s3cret" } },
    });
    let ran = Host::new().answers(QUERY, 200, vector(&[])).run::<Prometheus>(with(options));
    assert_eq!(ran.requests[0].timeout_ms, Some(5_000));
    assert!(ran.requests[0].insecure);
    assert_eq!(header(&ran, 0, "X-Scope-OrgID"), Some("tenant"));
    assert_eq!(header(&ran, 0, "authorization"), Some("Basic YW5uOnMzY3JldA=="));
}

fn oauth2() -> Value {
    with(json!({ "authentication": { "oauth2": {
        "tokenUrl": "https://sso/token", "clientId": "me:", "clientSecret": "s", "scopes": ["a", "b"],
    } } }))
}

const TOKEN: &str = "POST https://sso/token";

#[test]
fn a_token_is_fetched_and_sent() {
    let ran = Host::new()
        .answers(TOKEN, 200, json!({ "access_token": "abc", "token_type": "bearer" }))
        .answers(QUERY, 200, vector(&["1"]))
        .run::<Prometheus>(oauth2());
    assert_eq!(ran.result.as_ref().unwrap().outcome, Outcome::Numbers(vec![1.0]));
    assert_eq!(body(&ran, 0), "grant_type=client_credentials&scope=a%20b");
    // `me%3A:s`, since a colon would end the name.
    assert_eq!(header(&ran, 0, "authorization"), Some("Basic bWUlM0E6cw=="));
    assert_eq!(header(&ran, 1, "authorization"), Some("Bearer abc"));
}

#[test]
fn a_token_server_may_want_the_credentials_in_the_form() {
    let ran = Host::new()
        .answers(TOKEN, 401, json!({ "error": "invalid_client" }))
        .answers(TOKEN, 200, json!({ "access_token": "abc" }))
        .answers(QUERY, 200, vector(&["1"]))
        .run::<Prometheus>(oauth2());
    assert!(ran.result.is_ok());
    assert_eq!(
        body(&ran, 1),
        "grant_type=client_credentials&scope=a%20b&client_id=me%3A&client_secret=s"
    );
    assert_eq!(header(&ran, 1, "authorization"), None);
}

#[test]
fn without_a_token_nothing_is_asked() {
    let denied = Host::new().answers(TOKEN, 403, json!({})).run::<Prometheus>(oauth2());
    let message = "oauth2: cannot fetch token: HTTP 403";
    assert_eq!(denied.result, Err(Error::failed("http-403", message)));
    assert_eq!(denied.requests.len(), 2);

    let busy = Host::new().responds(TOKEN, Response { status: 503, ..Response::default() });
    assert!(matches!(busy.run::<Prometheus>(oauth2()).result, Err(Error::Transient { .. })));

    let empty = Host::new().answers(TOKEN, 200, json!({})).run::<Prometheus>(oauth2());
    assert_eq!(
        empty.result.unwrap_err().message(),
        "oauth2: cannot fetch token: the answer has no access_token"
    );
}

#[test]
fn mistakes_are_told_before_anything_is_sent() {
    for (config, expected) in [
        (json!({ "query": "up" }), UNCONFIGURED),
        (
            with(json!({ "address": "p:9090" })),
            "address: prometheus address is not is url format: `p:9090`; it should be like \
             http://prometheus.monitoring:9090",
        ),
        (with(json!({ "query": null })), "query: must not be empty"),
        (with(json!({ "timeout": -1 })), "timeout: prometheus timeout should not be negative"),
        (with(json!({ "timeout": "5s" })), "timeout: invalid type: string \"5s\", expected i64"),
        (
            with(json!({ "rangeQuery": { "start": "now()", "end": "now()" } })),
            "rangeQuery.step: failed to parse as duration: `` is no duration; it should be like \
             30s, 5m or 1h30m",
        ),
        (
            with(json!({ "rangeQuery": { "start": "now()", "end": "now()", "step": "0s" } })),
            "rangeQuery.step: must be at least 1ms",
        ),
        (
            with(json!({ "rangeQuery": { "start": "now()", "end": "then()", "step": "1m" } })),
            "rangeQuery.end: failed to parse as time: unknown function `then`; there are now, \
             duration and date",
        ),
        (
            with(json!({ "authentication": { "basicAuth": { "username": "ann" } } })),
            "authentication.basicAuth: username and password must both be set, or neither",
        ),
        (
            with(json!({ "authentication": { "oauth2": { "tokenUrl": "https://sso" } } })),
            "authentication.oauth2.clientId: missing mandatory parameter in metric for OAuth2 \
             setup",
        ),
        (
            with(json!({
                "address": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/w",
                "authentication": { "sigv4": { "region": "eu-west-1", "roleArn": "arn:x" } },
            })),
            "authentication.sigv4.roleArn: only the credentials in the controller's environment \
             can be used, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; remove the field, or let \
             `address` lead to a proxy that signs, such as aws-sigv4-proxy",
        ),
    ] {
        let expected = Error::invalid_config(expected);
        assert_eq!(Host::new().validate::<Prometheus>(config.clone()), Err(expected.clone()));
        let ran = Host::new().run::<Prometheus>(config);
        assert_eq!(ran.result, Err(expected));
        assert!(ran.requests.is_empty());
    }
}

#[test]
fn requests_to_aws_are_signed_with_the_credentials_of_the_environment() {
    let address = "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/w";
    let config = with(json!({
        "address": address, "authentication": { "sigv4": { "region": "eu-west-1" } },
    }));
    let route = format!("POST {address}/api/v1/query");
    let host = || Host::new().at(1_440_938_160_000).answers(&route, 200, vector(&["1"]));
    let ran = host()
        .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .variable("AWS_SECRET_ACCESS_KEY", "secret")
        .variable("AWS_SESSION_TOKEN", "token")
        .run::<Prometheus>(config.clone());
    assert!(ran.result.is_ok());
    assert_eq!(header(&ran, 0, "x-amz-date"), Some("20150830T123600Z"));
    assert_eq!(header(&ran, 0, "x-amz-security-token"), Some("token"));
    let signature = header(&ran, 0, "authorization").unwrap();
    let start = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/aps/aws4_request, \
                 SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=";
    assert!(signature.starts_with(start), "{signature}");

    let ran = host().run::<Prometheus>(config);
    let Err(Error::InvalidConfig(why)) = ran.result else { panic!("it is not signed") };
    assert!(why.starts_with("authentication.sigv4: "), "{why}");
    assert!(ran.requests.is_empty());
}

#[test]
fn what_is_left_out_or_empty_is_not_wanted() {
    let empty = json!({ "authentication": {
        "basicAuth": { "username": "" }, "oauth2": {}, "sigv4": { "region": "eu" },
    }, "headers": null, "insecure": false, "timeout": 0 });
    let ran = Host::new().answers(QUERY, 200, vector(&[])).run::<Prometheus>(with(empty));
    assert!(ran.result.is_ok());
    assert_eq!(header(&ran, 0, "authorization"), None);
    assert_eq!(ran.requests[0].timeout_ms, Some(30_000));
}
