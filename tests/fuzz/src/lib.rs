//! Input that nobody would write, for everything that reads what others wrote.
//!
//! A [`Target`] takes a file of its corpus, changed in some places by a seed, and judges what the
//! product makes of it. Equal seeds and an equal corpus make equal inputs, on every machine.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

pub mod cli;
pub mod mutate;
pub mod targets;

/// What a judge says: nothing, or what is wrong.
pub type Verdict = Result<(), String>;

/// Wrong, unless it holds.
///
/// # Errors
/// `what`, if it does not.
pub fn hold(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}

/// What a target is given.
#[derive(Clone, Copy)]
pub enum Judge {
    /// A text.
    Text(fn(&str) -> Verdict),
    /// An object; its corpus is YAML, of which every document is an input.
    Tree(fn(&Value) -> Verdict),
    /// Any bytes, and some to begin with beside the files of the corpus, since binary files are
    /// better made than kept.
    Bytes(fn(&[u8]) -> Verdict, fn() -> Vec<Vec<u8>>),
}

/// One reader, and what must be true of whatever it is given.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in the corpus.
    pub name: &'static str,
    /// How many seeds a short run takes.
    pub short: u64,
    /// More inputs to begin with: files of the repository, from its root.
    pub also: &'static [&'static str],
    /// What must be true.
    pub judge: Judge,
}

/// One input, as its judge takes it.
#[derive(Clone, Debug)]
pub enum Input {
    /// For [`Judge::Text`].
    Text(String),
    /// For [`Judge::Tree`].
    Tree(Value),
    /// For [`Judge::Bytes`].
    Bytes(Vec<u8>),
}

impl std::fmt::Display for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Tree(tree) => write!(f, "{tree}"),
            Self::Bytes(bytes) => write!(f, "{} bytes: {}", bytes.len(), bytes.escape_ascii()),
        }
    }
}

/// Inputs to begin with, with the names of their files, in the order of those.
pub type Corpus = Vec<(String, Input)>;

/// The corpus below `folder`, which has a folder for each target, and what stands elsewhere.
///
/// # Errors
/// The file that cannot be read.
pub fn corpus(folder: &Path, target: &Target) -> Result<Corpus, String> {
    let own = folder.join(target.name);
    let listed = fs::read_dir(&own).map_err(|error| format!("{}: {error}", own.display()))?;
    let mut paths: Vec<PathBuf> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    paths.extend(target.also.iter().map(|path| root.join(path)));
    let mut corpus = Vec::new();
    for path in paths {
        let wrong = |error: String| format!("{}: {error}", path.display());
        let bytes = fs::read(&path).map_err(|error| wrong(error.to_string()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = || String::from_utf8(bytes.clone()).map_err(|error| wrong(error.to_string()));
        match target.judge {
            Judge::Bytes(..) => corpus.push((name, Input::Bytes(bytes))),
            Judge::Text(_) => corpus.push((name, Input::Text(text()?))),
            Judge::Tree(_) => {
                let read = serde_saphyr::from_multiple::<Value>(&text()?);
                let documents = read.map_err(|error| wrong(error.to_string()))?;
                corpus.extend(documents.into_iter().map(|one| (name.clone(), Input::Tree(one))));
            }
        }
    }
    if let Judge::Bytes(_, made) = target.judge {
        corpus.extend(made().into_iter().map(|one| ("made".to_owned(), Input::Bytes(one))));
    }
    if corpus.is_empty() {
        return Err(format!("{}: nothing to begin with", own.display()));
    }
    Ok(corpus)
}

/// The input that a seed makes of a corpus.
pub fn input(corpus: &Corpus, seed: u64) -> Input {
    let mut rng = Rng::with_seed(seed);
    let mut input = corpus[rng.usize(..corpus.len())].1.clone();
    for _ in 0..rng.usize(1..8) {
        match &mut input {
            Input::Text(text) => mutate::text(&mut rng, text),
            Input::Tree(tree) => mutate::tree(&mut rng, tree),
            Input::Bytes(bytes) => mutate::bytes(&mut rng, bytes),
        }
    }
    input
}

/// What is wrong with an input: what the judge says, or where the product panicked.
pub fn judge(target: &Target, input: &Input) -> Verdict {
    quiet();
    JUDGING.set(true);
    let judged = catch_unwind(AssertUnwindSafe(|| match (target.judge, input) {
        (Judge::Text(judge), Input::Text(text)) => judge(text),
        (Judge::Tree(judge), Input::Tree(tree)) => judge(tree),
        (Judge::Bytes(judge, _), Input::Bytes(bytes)) => judge(bytes),
        (Judge::Text(_) | Judge::Tree(_) | Judge::Bytes(..), _) => {
            Err("the corpus is of another kind".to_owned())
        }
    }));
    JUDGING.set(false);
    judged.unwrap_or_else(|panic| Err(format!("panicked{}: {}", place(), words(&*panic))))
}

thread_local! {
    static JUDGING: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Panics of what is judged are results, and told once, with the input. Conditions are evaluated
/// on threads of that name, where a panic is a refusal.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if JUDGING.get() {
                let place = info.location().map(|at| format!(" at {at}")).unwrap_or_default();
                PLACE.with(|known| *known.borrow_mut() = place);
            } else if std::thread::current().name() != Some("condition") {
                usual(info);
            }
        }));
    });
}

fn place() -> String {
    PLACE.with(RefCell::take)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words").to_owned()
}

/// Something that went wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed, or the file of the corpus that is wrong as it is.
    pub from: String,
    /// The target.
    pub target: &'static str,
    /// What went wrong.
    pub what: String,
    /// With which input.
    pub input: Input,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, target, what, input } = self;
        write!(f, "{target} {from}: {what}\n  again: --target {target} {from}\n  input: {input}")
    }
}

/// Judge the corpus as it is.
pub fn known(target: &Target, corpus: &Corpus) -> Vec<Failure> {
    let wrong = |(name, input): &(String, Input)| {
        let what = judge(target, input).err()?;
        let from = format!("--file {name}");
        Some(Failure { from, target: target.name, what, input: input.clone() })
    };
    corpus.iter().filter_map(wrong).collect()
}

/// Judge what one seed makes.
pub fn one(target: &Target, corpus: &Corpus, seed: u64) -> Option<Failure> {
    let input = input(corpus, seed);
    let what = judge(target, &input).err()?;
    Some(Failure { from: format!("--seed {seed}"), target: target.name, what, input })
}

/// Judge seeds from `first` on, on a stack as small as a worker of the controller has, until
/// three are wrong, `count` were judged or `most` time went by. Says how many were judged.
///
/// # Errors
/// The thread cannot be started.
pub fn seeds(
    target: &Target,
    corpus: &Corpus,
    first: u64,
    count: u64,
    most: Duration,
) -> Result<(u64, Vec<Failure>), String> {
    let began = Instant::now();
    let work = || {
        let (mut judged, mut wrong) = (0, Vec::new());
        while judged < count && wrong.len() < 3 && began.elapsed() < most {
            wrong.extend(one(target, corpus, first.wrapping_add(judged)));
            judged += 1;
        }
        (judged, wrong)
    };
    std::thread::scope(|scope| {
        let name = format!("{} from --seed {first}", target.name);
        let thread = std::thread::Builder::new().name(name).stack_size(2 << 20);
        let handle = thread.spawn_scoped(scope, work).map_err(|error| error.to_string())?;
        handle.join().map_err(|panic| words(&*panic))
    })
}
