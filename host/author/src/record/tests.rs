use std::time::Duration;

use serde_json::json;

use super::*;

fn asked(url: &str, body: &str, answer: Result<HttpResponse, HttpError>) -> Asked {
    let headers = vec![("Authorization".to_owned(), "Bearer hunter2".to_owned())];
    let (url, body) = (url.to_owned(), Some(body.as_bytes().to_vec()));
    let request =
        HttpRequest { method: "POST".to_owned(), url, headers, body, ..HttpRequest::default() };
    Asked { request, answer, took: Duration::ZERO }
}

fn heard<T>(answer: Result<T, Fault>, requests: Vec<Asked>) -> Heard<T> {
    let at = "2026-03-01T12:00:00.25Z".parse().unwrap();
    Heard { at, answer, requests, denied: 0, took: Duration::ZERO }
}

fn call(config: Value) -> MetricCall {
    MetricCall {
        namespace: "shop".to_owned(),
        run: "run".to_owned(),
        metric: "rate".to_owned(),
        config: config.to_string(),
        ..MetricCall::default()
    }
}

fn measured(outcome: Measured) -> Result<Measurement, Fault> {
    let metadata = vec![("query".to_owned(), "up{token=\"hunter2\"}".to_owned())];
    Ok(Measurement { outcome, message: Some("yes: no".to_owned()), metadata })
}

fn recording() -> Recording {
    let mut hidden = Hidden::default();
    hidden.hide("token", "hunter2");
    Recording::new(hidden)
}

fn read_back(recording: &Recording) -> (String, Vec<Case>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live.yaml");
    recording.write(&path).unwrap();
    let cases = cases::read(&path).unwrap();
    (std::fs::read_to_string(&path).unwrap(), cases)
}

#[test]
fn a_recording_is_read_as_cases_and_holds_no_secret() {
    let answer = HttpResponse {
        status: 503,
        headers: vec![
            ("Set-Cookie".to_owned(), "session=4711".to_owned()),
            ("Retry-After".to_owned(), "7".to_owned()),
        ],
        body: br#"{"echo": "hunter2", "on": "no", "n": [1, 2.5, 1e3]}"#.to_vec(),
    };
    let requests = vec![
        asked("http://a/?token=hunter2&x=y", r#"{"password": "hunter2"}"#, Ok(answer)),
        asked("http://a/text", "token hunter2", Err(HttpError::Timeout)),
        asked("http://a/gone", "", Err(HttpError::Connect("refused: hunter2".to_owned()))),
    ];
    let mut recording = recording();
    let call = call(json!({"token": "hunter2", "address": "http://a"}));
    recording.metric(&call, None, &heard(measured(Measured::Number(f64::NAN)), requests)).unwrap();
    let (text, cases) = read_back(&recording);
    for leaked in ["hunter2", "4711", "Authorization", "authorization"] {
        assert!(!text.contains(leaked), "{leaked}:\n{text}");
    }
    let [case] = cases.as_slice() else { panic!("{text}") };
    assert_eq!(case.config, Some(json!({"token": "secret-token", "address": "http://a"})));
    assert_eq!(case.now.unwrap().to_string(), "2026-03-01T12:00:00.25Z");
    assert!(case.expect.number.unwrap().is_nan(), "{text}");
    assert_eq!(case.expect.message.as_deref(), Some("yes: no"));
    let [first, second, third] = case.http.as_slice() else { panic!("{text}") };
    assert_eq!(first.request.json, Some(json!({"password": "secret-token"})));
    assert_eq!(first.request.url, "http://a/?token=secret-token&x=y");
    assert_eq!(first.response.status, 503);
    let headers: Vec<_> = first.response.headers.keys().map(String::as_str).collect();
    assert_eq!(headers, ["retry-after"]);
    let body = first.response.json.clone().unwrap();
    assert_eq!(body["on"], "no", "a text stays one");
    assert_eq!(cases::plain(&body["n"]), json!([1.0, 2.5, 1000.0]));
    assert!(matches!(second.error, Some(NetworkError::Timeout)), "{text}");
    assert!(matches!(&third.error, Some(NetworkError::Connect(why)) if !why.contains("hunter")));
}

#[test]
fn every_answer_is_expected_as_it_came() {
    let transient = Fault::Transient { message: "busy".to_owned(), after_ms: Some(7000) };
    let failed = Fault::Failed { code: "http-404".to_owned(), message: "gone".to_owned() };
    let answers = [
        measured(Measured::Numbers(vec![1.0, f64::INFINITY])),
        measured(Measured::Value(r#"{"a": [1, null, "x"], "b": {"c": true}}"#.to_owned())),
        measured(Measured::NoData),
        measured(Measured::Judged(Verdict::Inconclusive)),
        measured(Measured::Running { token: r#"{"job": 7}"#.to_owned(), resume_after_ms: 1500 }),
        measured(Measured::Running { token: "plain".to_owned(), resume_after_ms: 1000 }),
        Err(Fault::InvalidConfig("address: is missing".to_owned())),
        Err(transient),
        Err(failed),
    ];
    for answer in answers {
        let mut recording = recording();
        recording.metric(&call(json!({})), Some("\"t\""), &heard(answer.clone(), vec![])).unwrap();
        let (text, cases) = read_back(&recording);
        assert_eq!(cases[0].call, Function::Resume);
        // What was hidden differs, and a trial gives the component what stands instead.
        let answer = answer.map(|mut measured| {
            measured.metadata[0].1 = "up{token=\"secret-token\"}".to_owned();
            Some(measured)
        });
        let (expected, got) = cases[0].expect.compare(&answer);
        assert_eq!(expected, got, "{text}");
    }
}

#[test]
fn what_cannot_be_a_case_is_refused_with_the_reason() {
    let mut recording = recording();
    let folder = tempfile::tempdir().unwrap();
    let nothing = recording.write(&folder.path().join("a.yaml")).unwrap_err().to_string();
    assert!(nothing.contains("nothing was recorded"), "{nothing}");
    let bytes = HttpResponse { status: 200, headers: vec![], body: vec![0xff, 0xfe] };
    let denied = HttpError::NotGranted("127.0.0.1 is out of bounds".to_owned());
    let table = [
        (Err(Fault::Trapped { message: "x".to_owned() }), vec![], "trapped"),
        (measured(Measured::NoData), vec![asked("http://a/b", "", Ok(bytes))], "http://a/b"),
        (measured(Measured::NoData), vec![asked("http://a/b", "", Err(denied))], "out of bounds"),
    ];
    for (answer, requests, part) in table {
        let refused = recording.metric(&call(json!({})), None, &heard(answer, requests));
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
    }
}
