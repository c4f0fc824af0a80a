//! `sluice plugin run`: a real component against a real server, recorded and replayed.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use sluice_bundled::BUNDLED;

const TOKEN: &str = "hunter2-and-more";

/// A Prometheus that answers one number to everybody, and tells what it was asked. It echoes the
/// credential, as careless servers do.
fn prometheus() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut asked = String::new();
            while !asked.ends_with("\r\n\r\n") {
                assert_ne!(reader.read_line(&mut asked).unwrap(), 0, "{asked}");
            }
            let length = asked.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut form = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            reader.read_exact(&mut form).unwrap();
            asked.push_str(&String::from_utf8(form).unwrap());
            let body = format!(
                r#"{{"status": "success", "warnings": ["seen Bearer {TOKEN}"], "data": {{"resultType": "vector",
                "result": [{{"metric": {{}}, "value": [1, "0.97"]}}]}}}}"#
            );
            let length = body.len();
            let head_of_answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nset-cookie: id={TOKEN}\r\n\
                 content-length: {length}\r\nconnection: close\r\n\r\n"
            );
            stream.write_all(format!("{head_of_answer}{body}").as_bytes()).unwrap();
            if tell.send(asked).is_err() {
                return;
            }
        }
    });
    (address, told)
}

fn run(folder: &Path, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
    command.current_dir(folder).args(["plugin", "run"]).args(words);
    command.env("TOKEN", format!("Bearer {TOKEN}")).env("XDG_CACHE_HOME", folder);
    // No cluster is asked, wherever this runs.
    command.env("KUBECONFIG", folder.join("none")).env("HOME", folder);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

fn folder(address: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let component = BUNDLED.iter().find(|component| component.name == "prometheus").unwrap();
    std::fs::write(folder.path().join("prometheus.wasm"), component.bytes).unwrap();
    write("config.yaml", &format!("address: {address}\nquery: up\n"));
    write("grants.json", &format!(r#"{{"http": [{{"url": "{address}", "methods": ["*"]}}]}}"#));
    write(
        "template.yaml",
        &format!(
            "kind: AnalysisTemplate\nmetadata: {{name: t}}\nspec:\n  args: [{{name: service}}]\n  \
             metrics:\n  - name: rate\n    successCondition: result[0] > 0.95\n    \
             failureCondition: result[0] < 0.9\n    provider:\n      prometheus: {{address: \
             '{address}', query: 'up{{app=\"{{{{args.service}}}}\"}}'}}\n"
        ),
    );
    folder
}

fn shown(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn a_live_run_becomes_a_test_without_the_credential() {
    let (address, told) = prometheus();
    let folder = folder(&address);
    let credential = format!("{address} Authorization=env:TOKEN");
    let words = [
        "prometheus.wasm",
        "--config=config.yaml",
        "--grants=grants.json",
        "--egress-allow=127.0.0.0/8",
        "--success-condition=result[0] > 0.95",
        "--failure-condition=result[0] > 0.99",
        "--record=live.yaml",
        "--credential",
        &credential,
    ];
    let (well, text) = run(folder.path(), &words);
    assert!(well, "{text}");
    let grant = format!("granted    http {address} *   (says grants.json)");
    let parts = [
        grant.as_str(),
        "was told   200 in ",
        "0.97",
        "result[0] > 0.95   holds",
        "result[0] > 0.99   does not hold",
        "judged     Successful",
        "recorded live.yaml (1 cases)",
    ];
    shown(&text, &parts);
    assert!(!text.contains(TOKEN) && !text.contains("does not answer as it did"), "{text}");
    let asked = told.recv().unwrap();
    assert!(asked.contains(&format!("authorization: Bearer {TOKEN}")), "{asked}");
    let recording = std::fs::read_to_string(folder.path().join("live.yaml")).unwrap();
    assert!(
        !recording.contains(TOKEN) && recording.contains("secret-authorization"),
        "{recording}"
    );
    assert!(!recording.contains("cookie"), "{recording}");

    let again = run(folder.path(), &words).1;
    shown(&again, &["live.yaml is there already"]);
    let replay = ["prometheus.wasm", "--grants=grants.json", "--replay=live.yaml"];
    let (well, text) = run(folder.path(), &replay);
    assert!(well && text.contains("it answers what was recorded"), "{text}");
    let broken = recording.replacen("query: up", "query: down", 1);
    assert_ne!(broken, recording);
    std::fs::write(folder.path().join("live.yaml"), broken).unwrap();
    let (well, text) = run(folder.path(), &replay);
    assert!(!well && text.contains("differs"), "{text}");
    assert!(told.try_recv().is_err(), "a replay has no network");
}

#[test]
fn a_template_brings_its_arguments_and_conditions() {
    let (address, told) = prometheus();
    let folder = folder(&address);
    let words = [
        "prometheus.wasm",
        "--template=template.yaml",
        "--grants=grants.json",
        "--egress-allow=127.0.0.0/8",
    ];
    let (well, text) = run(folder.path(), &words);
    assert!(!well, "{text}");
    shown(&text, &["give it by --arg service=VALUE"]);
    let (well, text) = run(folder.path(), &[&words[..], &["--arg=service=web"]].concat());
    assert!(well, "{text}");
    shown(&text, &["query: up{app=\"web\"}", "result[0] > 0.95   holds", "judged     Successful"]);
    assert!(told.recv().unwrap().contains("web"));
}

#[test]
fn what_is_denied_says_what_would_permit_it() {
    let (address, told) = prometheus();
    let folder = folder(&address);
    let words = ["prometheus.wasm", "--config=config.yaml", "--grants=grants.json"];
    let (well, text) = run(folder.path(), &words);
    assert!(!well, "{text}");
    shown(&text, &["out of bounds", "--egress-allow"]);
    std::fs::write(folder.path().join("grants.json"), "{}").unwrap();
    let (well, text) = run(folder.path(), &words);
    assert!(!well, "{text}");
    shown(&text, &["granted    nothing", "needs the grant", "denied     1 times"]);
    assert!(told.try_recv().is_err(), "nothing went out");
}

#[test]
fn what_makes_no_sense_for_the_component_is_refused() {
    let folder = folder("http://127.0.0.1:1");
    let table: [(&[&str], &str); 6] = [
        (&["--weight=20"], "--weight is for routers, and prometheus is a metric"),
        (&["--rollout=web"], "a metric is found in a template"),
        (&["--template=template.yaml", "--metric=x"], "there are: rate"),
        (&["--grants=none.json"], "cannot read none.json"),
        (&["--secret=token=hunter2"], "env:VAR or file:PATH"),
        (&["--credential=* A=env:B"], "one server"),
    ];
    for (words, part) in table {
        let (well, text) = run(folder.path(), &[&["prometheus.wasm"], words].concat());
        assert!(!well, "{text}");
        shown(&text, &[part]);
    }
}
