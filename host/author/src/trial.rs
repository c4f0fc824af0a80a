//! A component on trial: cases and the conformance kit, on the component host that the controller
//! has, with a network and a clock that are made up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, UNIX_EPOCH};

use sluice_port::{Components, Fault};
use sluice_wasm::{
    ComponentHost, Grants, HostConfig, Kind, Origin, Outline, PluginInfo, Private, Terms,
};

use crate::cases::{self, Answer, Case, Exchange, Function};
use crate::conformance;
use crate::difference::difference;
use crate::error::Error;
use crate::hidden::made_up;
use crate::recorded::{Mode, Recorded, Seen};
use crate::{notify, router, step};

/// 2026-01-01T00:00:00Z, in milliseconds.
const BEGINNING: u64 = 1_767_225_600_000;
/// The name that a component has while it is on trial.
pub(crate) const NAME: &str = "on-trial";

/// What is tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The component.
    pub component: PathBuf,
    /// What it may do. `None` is any server: the cases say which are asked.
    pub grants: Option<Grants>,
    /// Files of cases.
    pub cases: Vec<PathBuf>,
    /// Where compiled components are kept. Without it every trial compiles anew.
    pub cache: Option<PathBuf>,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The file of the case, or `conformance`.
    pub of: String,
    /// What it shows.
    pub name: String,
    /// What is wrong; nothing if all is well.
    pub problems: Vec<String>,
    /// How long the call took.
    pub took: Duration,
}

impl Verdict {
    /// Whether all is well.
    pub fn passed(&self) -> bool {
        self.problems.is_empty()
    }
}

/// What came of a trial.
#[derive(Clone, Debug)]
pub struct Report {
    /// Everything that was tried, in order.
    pub verdicts: Vec<Verdict>,
    /// The component, with what it used of memory and time.
    pub info: PluginInfo,
}

impl Report {
    /// Whether everything passed.
    pub fn passed(&self) -> bool {
        self.verdicts.iter().all(Verdict::passed)
    }
}

/// Tries a component: first its cases, then what every component of its kind must do.
///
/// # Errors
/// If the component does not load or a file of cases cannot be read. A case that fails is no error.
pub async fn run(trial: &Trial) -> Result<Report, Error> {
    let bench = Bench::new(trial).await?;
    let verdicts = match bench.info().kind {
        Kind::Metric => metric(&bench, &trial.cases).await?,
        Kind::Router => router::run(&bench, &trial.cases).await?,
        Kind::Step => step::run(&bench, &trial.cases).await?,
        Kind::Notifier => notify::run(&bench, &trial.cases).await?,
    };
    Ok(Report { verdicts, info: bench.info() })
}

/// Tries the cases alone: whether a component still answers what was recorded.
///
/// # Errors
/// As [`run`].
pub async fn replay(trial: &Trial) -> Result<Vec<Verdict>, Error> {
    let bench = Bench::new(trial).await?;
    Ok(match bench.info().kind {
        Kind::Metric => metric_cases(&bench, &trial.cases).await?.0,
        Kind::Router => router::try_cases(&bench, &trial.cases).await?.0,
        Kind::Step => step::try_cases(&bench, &trial.cases).await?.0,
        Kind::Notifier => notify::try_cases(&bench, &trial.cases).await?.0,
    })
}

async fn metric(bench: &Bench, files: &[PathBuf]) -> Result<Vec<Verdict>, Error> {
    let (mut verdicts, cases) = metric_cases(bench, files).await?;
    verdicts.extend(conformance::metric(bench, &cases).await?);
    Ok(verdicts)
}

async fn metric_cases(
    bench: &Bench,
    files: &[PathBuf],
) -> Result<(Vec<Verdict>, Vec<Case>), Error> {
    let (mut verdicts, mut all) = (Vec::new(), Vec::new());
    for path in files {
        let of = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        for case in cases::read(path)? {
            verdicts.push(judge(bench, &of, &case).await?);
            all.push(case);
        }
    }
    Ok((verdicts, all))
}

async fn judge(bench: &Bench, of: &str, case: &Case) -> Result<Verdict, Error> {
    let Called { answer, seen, took } = bench.call(case, Mode::Recorded).await?;
    let mut problems = Vec::new();
    let (expected, got) = case.expect.compare(&answer);
    if let Some(difference) = difference(&expected, &got) {
        problems.push(format!("the answer differs (- expected, + came):\n{difference}"));
    }
    problems.extend(seen.problems);
    Ok(Verdict { of: of.to_owned(), name: case.name.clone(), problems, took })
}

/// What came of one call.
pub(crate) struct Called {
    pub(crate) answer: Answer,
    pub(crate) seen: Seen,
    pub(crate) took: Duration,
}

/// A host with one component, a made-up network and a made-up clock.
pub(crate) struct Bench {
    host: ComponentHost,
    network: Arc<Recorded>,
    clock: Arc<AtomicU64>,
    component: PathBuf,
    bytes: Vec<u8>,
    terms: Terms,
}

impl Bench {
    pub(crate) async fn new(trial: &Trial) -> Result<Self, Error> {
        let path = &trial.component;
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let network = Arc::new(Recorded::default());
        let clock = Arc::new(AtomicU64::new(BEGINNING));
        let now = clock.clone();
        let config = HostConfig {
            cache_dir: trial.cache.clone(),
            clock: Some(Arc::new(move || {
                UNIX_EPOCH + Duration::from_millis(now.load(Ordering::Relaxed))
            })),
            ..HostConfig::new(network.clone())
        };
        let host = ComponentHost::new(config).map_err(refused(path))?;
        let grants = trial.grants.clone().unwrap_or_else(Grants::any_server);
        // No secret is there on trial; what stands for it is the same every time.
        let secrets = grants.secrets.iter();
        let secrets = secrets.map(|alias| (alias.clone(), made_up(alias).into_bytes()));
        let private = Private { secrets: secrets.collect(), ..Private::default() };
        let config = match Outline::of(&bytes).map(|outline| outline.kind) {
            Ok(Kind::Notifier) => notify::configuration(&trial.cases)?,
            Ok(Kind::Metric | Kind::Router | Kind::Step) | Err(_) => None,
        };
        let terms = Terms { grants: Some(grants), private, config, ..Terms::default() };
        let bench = Self { host, network, clock, component: path.clone(), bytes, terms };
        bench.install().await?;
        Ok(bench)
    }

    async fn install(&self) -> Result<(), Error> {
        let origin = Origin::File(self.component.clone());
        let installed =
            self.host.install_on(NAME, self.bytes.clone(), origin, self.terms.clone()).await;
        installed.map(|_| ()).map_err(refused(&self.component))
    }

    /// The component as it is installed; its totals are of all calls.
    pub(crate) fn info(&self) -> PluginInfo {
        // There is one, since `new` installed it and nothing takes it out.
        self.host.installed().swap_remove(0)
    }

    /// Makes the call of a case.
    pub(crate) async fn call(&self, case: &Case, mode: Mode) -> Result<Called, Error> {
        let call = case.metric_call();
        let token = case.token.clone().unwrap_or_default().to_string();
        let (answer, seen, took) = self
            .during(case.now, &case.http, mode, async |host| match case.call {
                Function::Run => host.measure(NAME, &call).await.map(Some),
                Function::Resume => host.resume(NAME, &call, &token).await.map(Some),
                Function::Terminate => host.terminate(NAME, &call, &token).await.map(|()| None),
                Function::Validate => host.validate_metric(NAME, &call.config).await.map(|()| None),
            })
            .await?;
        Ok(Called { answer, seen, took })
    }

    /// Makes a call at a time of day, with what is recorded of the network, and says what it
    /// answered, what it asked, and how long it took.
    pub(crate) async fn during<T>(
        &self,
        now: Option<jiff::Timestamp>,
        http: &[Exchange],
        mode: Mode,
        call: impl AsyncFnOnce(&ComponentHost) -> Result<T, Fault>,
    ) -> Result<(Result<T, Fault>, Seen, Duration), Error> {
        let now = now.map(|now| now.as_millisecond()).and_then(|ms| u64::try_from(ms).ok());
        self.clock.store(now.unwrap_or(BEGINNING), Ordering::Relaxed);
        self.network.begin(http, mode);
        let began = Instant::now();
        let answer = call(&self.host).await;
        let took = began.elapsed();
        let seen = self.network.end();
        Ok((self.settled(answer).await?, seen, took))
    }

    /// An answer, after which the component can be called as if it were the first time. One that
    /// misbehaves often is not called for a while, which would hide the next answer; a new
    /// generation begins with a clean record.
    pub(crate) async fn settled<T>(
        &self,
        answer: Result<T, Fault>,
    ) -> Result<Result<T, Fault>, Error> {
        if answer.as_ref().is_err_and(Fault::is_misbehaviour) {
            self.install().await?;
        }
        Ok(answer)
    }

    pub(crate) fn host(&self) -> &ComponentHost {
        &self.host
    }
}

fn refused(path: &Path) -> impl FnOnce(sluice_wasm::LoadError) -> Error {
    let path = path.to_owned();
    move |error| Error::Load { path, error }
}
