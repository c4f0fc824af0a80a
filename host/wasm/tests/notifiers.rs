//! Calls of notifiers: how they are configured, what they answer, and what is not believed.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

mod fixture;

use std::fs;
use std::time::Duration;

use fixture::{Gate, notifier, provider, tale};
use sluice_port::{Components, Delivery, Fault, Notice};
use sluice_wasm::{
    ComponentHost, Event, Folder, HostConfig, Kind, Limits, LoadError, Origin, Terms,
};
use tempfile::TempDir;

const RIGHT: &str = r#"{"to": "ops"}"#;

/// Two hundred milliseconds of computing, so that a notifier which never ends is soon stopped.
fn host() -> ComponentHost {
    let limits = Limits { cpu: Duration::from_millis(200), ..Limits::of(Kind::Notifier) };
    let config = HostConfig { notifier_limits: Some(limits), ..HostConfig::new(Gate::with(0)) };
    ComponentHost::new(config).unwrap()
}

async fn install(
    host: &ComponentHost,
    bytes: Vec<u8>,
    config: Option<&str>,
) -> Result<(), LoadError> {
    let terms = Terms { config: config.map(str::to_owned), ..Terms::default() };
    host.install_on("chat", bytes, Origin::Other("a test".to_owned()), terms).await.map(drop)
}

async fn host_with_notifier() -> ComponentHost {
    let host = host();
    install(&host, notifier(), Some(RIGHT)).await.unwrap();
    host
}

async fn tell(host: &ComponentHost, what: &str) -> Result<Delivery, Fault> {
    let notice = Notice { reason: what.to_owned(), ..Notice::default() };
    host.deliver("chat", &notice).await
}

#[tokio::test]
async fn a_notifier_is_found_by_its_interface_and_answers() {
    let host = host_with_notifier().await;
    let info = &host.installed()[0];
    assert_eq!((info.name.as_str(), info.kind), ("chat", Kind::Notifier));
    assert_eq!(info.interface, "sluice:notifier/delivery@0.1.0");
    let delivered = Delivery::Delivered(Some("7".to_owned()));
    assert_eq!(tell(&host, tale::DELIVER).await, Ok(delivered));
    assert_eq!(tell(&host, tale::RETRY).await, Ok(Delivery::RetryAfter(2_000)));
}

#[tokio::test]
async fn it_is_called_with_the_configuration_that_it_was_installed_with() {
    let host = host_with_notifier().await;
    let said = Err(Fault::InvalidConfig(RIGHT.to_owned()));
    assert_eq!(tell(&host, tale::REFUSE).await, said);
    install(&host, notifier(), Some("[1, 2]")).await.unwrap();
    let said = Err(Fault::InvalidConfig("[1, 2]".to_owned()));
    assert_eq!(tell(&host, tale::REFUSE).await, said);
}

#[tokio::test]
async fn one_that_is_configured_wrongly_changes_nothing() {
    let host = host_with_notifier().await;
    let error = install(&host, notifier(), None).await.unwrap_err().to_string();
    assert_eq!(error, "its configuration: invalid configuration: no thanks");
    let said = Err(Fault::InvalidConfig(RIGHT.to_owned()));
    assert_eq!(tell(&host, tale::REFUSE).await, said);
    let error = install(&host, provider(1.0), Some(RIGHT)).await.unwrap_err().to_string();
    assert!(error.contains("only a notifier is configured here"), "{error}");
}

#[tokio::test]
async fn one_that_misbehaves_is_stopped_and_left_alone() {
    let host = host_with_notifier().await;
    assert_eq!(tell(&host, tale::LOOP).await, Err(Fault::CpuExceeded { limit_ms: 200 }));
    for _ in 0..2 {
        let trapped = tell(&host, tale::TRAP).await;
        assert!(matches!(trapped, Err(Fault::Trapped { .. })), "{trapped:?}");
    }
    let suspended = tell(&host, tale::DELIVER).await;
    assert!(matches!(suspended, Err(Fault::Suspended { .. })), "{suspended:?}");
}

#[tokio::test]
async fn one_that_is_not_there_is_named_with_those_that_are() {
    let host = host_with_notifier().await;
    let missing = host.deliver("slack", &Notice::default()).await.unwrap_err();
    assert_eq!(missing.to_string(), "no notifier named 'slack' is installed; installed: chat");
}

#[tokio::test]
async fn one_in_a_folder_is_configured_beside_its_file() {
    let (folder, host) = (TempDir::new().unwrap(), host());
    let at = |name: &str| folder.path().join(name);
    fs::write(at("chat.wasm"), notifier()).unwrap();
    let mut watched = Folder::new(host.clone(), folder.path().to_owned());
    let refused = |events: Vec<Event>| match events.as_slice() {
        [Event::Refused { error, .. }] => error.to_string(),
        other => panic!("{other:?}"),
    };
    let config = at("chat.config.json").display().to_string();
    let why = refused(watched.load_once().await);
    assert_eq!(why, format!("{config}: invalid configuration: no thanks"));
    fs::write(&config, "{").unwrap();
    let why = refused(watched.load_once().await);
    assert!(why.starts_with(&format!("{config}: EOF")), "{why}");
    fs::write(&config, RIGHT).unwrap();
    let events = watched.load_once().await;
    assert!(matches!(events.as_slice(), [Event::Installed(_)]), "{events:?}");
    let compact = RIGHT.replace(' ', "");
    assert_eq!(tell(&host, tale::REFUSE).await, Err(Fault::InvalidConfig(compact)));
    // Another configuration counts without another component.
    fs::write(&config, "[12, 34]").unwrap();
    watched.load_once().await;
    assert_eq!(tell(&host, tale::REFUSE).await, Err(Fault::InvalidConfig("[12,34]".to_owned())));
}
