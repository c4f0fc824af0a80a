//! What is taken in, what is refused and why, and what is kept.
#![expect(clippy::unwrap_used, reason = "helpers of tests may")]

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};

use fixture::{Gate, act, provider};
use sluice_port::{Components, Measured, MetricCall};
use sluice_wasm::{
    ComponentHost, Event, Folder, HostConfig, Kind, LoadError, MOST_COMPONENT, Origin, PluginInfo,
};
use tempfile::TempDir;

fn host(cache_dir: Option<&Path>) -> ComponentHost {
    let cache_dir = cache_dir.map(Path::to_owned);
    ComponentHost::new(HostConfig { cache_dir, ..HostConfig::new(Gate::with(0)) }).unwrap()
}

async fn install(host: &ComponentHost, bytes: Vec<u8>) -> Result<PluginInfo, LoadError> {
    host.install("test", bytes, Origin::Bundled).await
}

async fn answer(host: &ComponentHost, name: &str) -> Measured {
    let call = MetricCall { index: act::ANSWER, ..MetricCall::default() };
    host.measure(name, &call).await.unwrap().outcome
}

async fn refusal(component: &str) -> String {
    let bytes = wat::parse_str(component).unwrap();
    install(&host(None), bytes).await.unwrap_err().to_string()
}

#[tokio::test]
async fn what_is_no_component_is_refused_in_words() {
    let core = refusal("(module)").await;
    assert!(core.contains("core module") && core.contains("wasm32-wasip2"), "{core}");
    let host = host(None);
    let text = install(&host, b"hello".to_vec()).await.unwrap_err();
    assert!(matches!(text, LoadError::NoComponent(_)), "{text}");
    let whole = provider(0.0);
    let cut = install(&host, whole[..whole.len() / 2].to_vec()).await.unwrap_err();
    assert!(matches!(cut, LoadError::NoComponent(_)), "{cut}");
    let large = install(&host, vec![0; MOST_COMPONENT + 1]).await.unwrap_err();
    assert_eq!(large, LoadError::TooLarge { size: MOST_COMPONENT + 1 });
    assert!(host.installed().is_empty());
}

#[tokio::test]
async fn an_import_that_is_not_offered_is_named() {
    let text = refusal(r#"(component (import "acme:db/query@1.0.0" (instance)))"#).await;
    assert_eq!(text, "it imports acme:db/query@1.0.0, which this controller does not offer");
}

#[tokio::test]
async fn another_version_is_named_with_the_one_that_is_spoken() {
    let text = r#"(component (instance $i) (export "sluice:metric/provider@2.0.0" (instance $i)))"#;
    let text = refusal(text).await;
    assert_eq!(text, "plugin speaks sluice:metric@2, this controller speaks 0.1");
}

#[tokio::test]
async fn a_component_that_does_nothing_for_us_is_refused_by_its_exports() {
    let none = refusal("(component)").await;
    assert!(
        none.starts_with("it exports nothing, and none of sluice:metric/provider@0.1"),
        "{none}"
    );
    let other = refusal(r#"(component (instance $i) (export "acme:a/b" (instance $i)))"#).await;
    assert!(other.starts_with("it exports acme:a/b"), "{other}");
}

#[tokio::test]
async fn names_that_fit_and_types_that_do_not_are_refused() {
    let text = r#"(component (instance $i) (export "sluice:metric/provider@0.1.0" (instance $i)))"#;
    let text = refusal(text).await;
    assert!(text.starts_with("its interfaces do not fit"), "{text}");
}

#[tokio::test]
async fn a_later_patch_version_is_the_same_language() {
    let wit = TempDir::new().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit"), wit.path());
    let module = fixture::provider_module(3.0).replace("@0.1.0", "@0.1.7");
    let later = fixture::wrap(wit.path(), "sluice:metric/metric-provider", &module);
    let host = host(None);
    assert_eq!(install(&host, later).await.unwrap().interface, "sluice:metric/provider@0.1.7");
    assert_eq!(answer(&host, "test").await, Measured::Number(3.0));
}

/// Copy a folder of WIT, as it will be seven compatible versions later.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&path, &to);
        } else {
            let text = fs::read_to_string(&path).unwrap().replace("@0.1.0", "@0.1.7");
            fs::write(to, text).unwrap();
        }
    }
}

fn entries(cache: &TempDir) -> Vec<PathBuf> {
    let dir = fs::read_dir(cache.path().join("components")).unwrap();
    let paths = dir.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

/// Another file of that name: one that is mapped must not be written to.
fn replace(path: &Path, bytes: &[u8]) {
    // It need not be there.
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn the_second_start_takes_compiled_code_from_the_cache() {
    let cache = TempDir::new().unwrap();
    let first = install(&host(Some(cache.path())), provider(1.0)).await.unwrap();
    let again = host(Some(cache.path()));
    let second = install(&again, provider(1.0)).await.unwrap();
    assert_eq!((first.cached, second.cached), (false, true));
    assert_eq!(answer(&again, "test").await, Measured::Number(1.0));
    let other = install(&again, provider(2.0)).await.unwrap();
    assert!(!other.cached, "another component is another entry");
}

#[tokio::test]
async fn a_cache_entry_that_is_not_what_was_written_is_compiled_again() {
    let cache = TempDir::new().unwrap();
    install(&host(Some(cache.path())), provider(1.0)).await.unwrap();
    let entry = entries(&cache).pop().unwrap();
    let whole = fs::read(&entry).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [flipped, whole[..whole.len() / 2].to_vec(), whole[..10].to_vec(), Vec::new()] {
        replace(&entry, &damaged);
        let host = host(Some(cache.path()));
        assert!(!install(&host, provider(1.0)).await.unwrap().cached);
        assert_eq!(answer(&host, "test").await, Measured::Number(1.0));
        assert_eq!(fs::read(&entry).unwrap().len(), whole.len(), "and it is repaired");
    }
}

#[tokio::test]
async fn one_cache_entry_cannot_stand_for_another() {
    let cache = TempDir::new().unwrap();
    let first = host(Some(cache.path()));
    install(&first, provider(1.0)).await.unwrap();
    let one = entries(&cache).pop().unwrap();
    install(&first, provider(2.0)).await.unwrap();
    let two = entries(&cache).into_iter().find(|path| *path != one).unwrap();
    // With the code of what is in it, and with the code of what should be.
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let (one_name, two_name) = (name(&one), name(&two));
    let (_, code) = one_name.rsplit_once('-').unwrap();
    let (stem, _) = two_name.rsplit_once('-').unwrap();
    let renamed = two.with_file_name(format!("{stem}-{code}.cwasm"));
    for place in [&two, &renamed] {
        fs::remove_file(&two).unwrap();
        replace(place, &fs::read(&one).unwrap());
        let again = host(Some(cache.path()));
        assert!(!install(&again, provider(2.0)).await.unwrap().cached);
        assert_eq!(answer(&again, "test").await, Measured::Number(2.0));
        assert!(two.exists() && (place == &two || !place.exists()), "and it is repaired");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_cache_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let cache = TempDir::new().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    install(&host(Some(cache.path())), provider(1.0)).await.unwrap();
    assert_eq!(mode(&cache.path().join("components")), 0o700);
    assert_eq!(mode(&cache.path().join("components/key")), 0o600);
}

#[tokio::test]
async fn a_cache_that_cannot_be_is_done_without() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let host = host(Some(file.path()));
    assert!(install(&host, provider(1.0)).await.is_ok());
}

/// A folder, and a host that has the bundled component `known` with the number 1.
async fn folder() -> (TempDir, ComponentHost, Folder) {
    let dir = TempDir::new().unwrap();
    let host = host(None);
    host.install("known", provider(1.0), Origin::Bundled).await.unwrap();
    let folder = Folder::new(host.clone(), dir.path().to_owned());
    (dir, host, folder)
}

fn installed(events: &[Event]) -> &PluginInfo {
    match events {
        [Event::Installed(info)] => info,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_adds_replaces_and_gives_back() {
    let (dir, host, mut folder) = folder().await;
    assert_eq!(folder.load_once().await, []);
    fs::write(dir.path().join("known.wasm"), provider(2.0)).unwrap();
    assert_eq!(
        installed(&folder.load_once().await).origin.to_string(),
        dir.path().join("known.wasm").display().to_string()
    );
    assert_eq!(answer(&host, "known").await, Measured::Number(2.0));
    assert_eq!(folder.load_once().await, [], "nothing is done twice");

    fs::create_dir(dir.path().join("acme")).unwrap();
    fs::write(dir.path().join("acme/new.wasm"), provider(3.0)).unwrap();
    folder.load_once().await;
    assert_eq!(answer(&host, "acme/new").await, Measured::Number(3.0));

    fs::remove_file(dir.path().join("known.wasm")).unwrap();
    fs::remove_file(dir.path().join("acme/new.wasm")).unwrap();
    let removed = |name: &str| Event::Removed { name: name.to_owned() };
    assert_eq!(folder.load_once().await, [removed("acme/new"), removed("known")]);
    assert_eq!(answer(&host, "known").await, Measured::Number(1.0));
    let left: Vec<_> = host.installed().into_iter().map(|info| (info.kind, info.name)).collect();
    assert_eq!(left, [(Kind::Metric, "known".to_owned())]);
}

#[tokio::test]
async fn a_bad_file_changes_nothing_and_is_named_once() {
    let (dir, host, mut folder) = folder().await;
    let path = dir.path().join("known.wasm");
    fs::write(&path, "not one").unwrap();
    let events = folder.load_once().await;
    let [Event::Refused { path: refused, error: LoadError::NoComponent(_) }] = &*events else {
        panic!("{events:?}");
    };
    assert_eq!(*refused, path);
    assert_eq!(folder.load_once().await, []);
    assert_eq!(answer(&host, "known").await, Measured::Number(1.0));

    fs::write(&path, provider(2.0)).unwrap();
    installed(&folder.load_once().await);
    fs::write(&path, "worse").unwrap();
    assert_eq!(folder.load_once().await.len(), 1);
    assert_eq!(answer(&host, "known").await, Measured::Number(2.0), "the last good one stays");
}

#[tokio::test]
async fn grants_beside_a_file_are_its_grants() {
    let (dir, host, mut folder) = folder().await;
    let grants = dir.path().join("new.grants.json");
    fs::write(dir.path().join("new.wasm"), provider(2.0)).unwrap();
    assert!(installed(&folder.load_once().await).grants.http.is_empty());

    fs::write(&grants, r#"{"http": [{"url": "https://api.test"}]}"#).unwrap();
    assert_eq!(installed(&folder.load_once().await).grants.http.len(), 1);

    fs::write(&grants, r#"{"http": [{"url": "api.test"}]}"#).unwrap();
    let events = folder.load_once().await;
    let [Event::Refused { error: error @ LoadError::Grants { .. }, .. }] = &*events else {
        panic!("{events:?}");
    };
    assert!(error.to_string().contains("is no server"), "{error}");
    let infos = host.installed();
    assert_eq!(infos.iter().find(|info| info.name == "new").unwrap().grants.http.len(), 1);
}

#[tokio::test]
async fn leave_to_touch_objects_is_for_routers() {
    let (dir, _host, mut folder) = folder().await;
    let grants = dir.path().join("new.grants.json");
    let map = r#"{"apiVersion": "v1", "kinds": ["ConfigMap"], "verbs": ["get"]}"#;
    fs::write(&grants, format!(r#"{{"kubernetes": [{map}]}}"#)).unwrap();
    fs::write(dir.path().join("new.wasm"), provider(2.0)).unwrap();
    let events = folder.load_once().await;
    let [Event::Refused { error, .. }] = &*events else { panic!("{events:?}") };
    let expected =
        "only a router touches objects of Kubernetes, and this is a metric provider; take them out";
    assert_eq!(error.to_string(), format!("{}: {expected}", grants.display()));
    fs::write(&grants, r#"{"kubernetes": []}"#).unwrap();
    installed(&folder.load_once().await);
}

#[tokio::test]
async fn what_replaces_a_bundled_component_may_do_what_that_may() {
    let (dir, host, mut folder) = folder().await;
    fs::write(dir.path().join("known.wasm"), provider(2.0)).unwrap();
    let bundled = host.installed()[0].grants.clone();
    assert_eq!(installed(&folder.load_once().await).grants, bundled);
}

#[tokio::test]
async fn watching_waits_for_a_file_to_settle_and_reports() {
    let (dir, host, folder) = folder().await;
    let (report, mut reported) = tokio::sync::mpsc::unbounded_channel();
    let watching = tokio::spawn(folder.watch(std::time::Duration::from_millis(20), move |event| {
        // The test may be over already.
        let _ = report.send(event);
    }));
    fs::write(dir.path().join("known.wasm"), provider(2.0)).unwrap();
    let within = std::time::Duration::from_secs(20);
    let event = tokio::time::timeout(within, reported.recv()).await.expect("in time").unwrap();
    assert!(matches!(event, Event::Installed(_)), "{event:?}");
    assert_eq!(answer(&host, "known").await, Measured::Number(2.0));
    watching.abort();
}
