//! Traffic routers on trial: the objects before, the routing that is wanted, and what is to be
//! different after.

mod cases;
mod conformance;
mod objects;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sluice_port::{Change, Components, Fault, ObjectQuery, Routing, Verification};

use crate::difference::difference;
use crate::error::Error;
use crate::trial::{Bench, NAME, Verdict};
use cases::{Case, Expected, Function};
use objects::{Objects, patches};

/// How often a router may ask for more objects in view of what was found.
const ROUNDS: usize = 4;

/// Tries a router: its cases, then what every router must do.
pub(crate) async fn run(bench: &Bench, files: &[PathBuf]) -> Result<Vec<Verdict>, Error> {
    let (mut verdicts, cases) = try_cases(bench, files).await?;
    verdicts.extend(conformance::router(bench, &cases).await?);
    Ok(verdicts)
}

/// Tries the cases alone.
pub(crate) async fn try_cases(
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

/// How long the calls of each case take; one is all calls that it takes to answer.
pub(crate) async fn times(
    bench: &Bench,
    files: &[PathBuf],
    calls: usize,
) -> Result<Vec<(String, Vec<Duration>)>, Error> {
    let mut all = Vec::new();
    for path in files {
        for case in cases::read(path)? {
            let mut times = Vec::with_capacity(calls);
            for _ in 0..calls {
                times.push(judge(bench, "", &case).await?.took);
            }
            all.push((case.name, times));
        }
    }
    Ok(all)
}

async fn judge(bench: &Bench, of: &str, case: &Case) -> Result<Verdict, Error> {
    let began = Instant::now();
    let asked = Asked { bench, wanted: &case.wanted, objects: &case.before };
    let got = match case.call {
        Function::Route => changed(asked.route().await?, &case.before),
        Function::Release => changed(asked.release().await?, &case.before),
        Function::Verify => asked.verify().await?.map(|verified| verification(&verified)),
        Function::Validate => asked.validate().await?.map(|()| json!("ok")),
    };
    let took = began.elapsed();
    let (expected, got) = case.expect.compare(got);
    let problems = difference(&expected, &got)
        .map(|text| format!("the answer differs (- expected, + came):\n{text}"));
    let problems = problems.into_iter().collect();
    Ok(Verdict { of: of.to_owned(), name: case.name.clone(), problems, took })
}

fn changed(answer: Result<Vec<Change>, Fault>, before: &Objects) -> Result<Value, Fault> {
    answer.and_then(|changes| patches(before, &changes).map_err(Fault::Malformed))
}

fn verification(verified: &Verification) -> Value {
    match verified {
        Verification::Converged => json!("converged"),
        Verification::Pending(why) => json!({ "pending": why }),
        Verification::CannotTell => json!("cannot-tell"),
    }
}

/// A router, asked about one routing and the objects that are there.
struct Asked<'a> {
    bench: &'a Bench,
    wanted: &'a Routing,
    objects: &'a Objects,
}

impl Asked<'_> {
    /// What it sees: the objects that it asks for, and no other.
    async fn seen(&self) -> Result<Result<Vec<String>, Fault>, Error> {
        let mut found = Vec::new();
        let mut asked: BTreeSet<ObjectQuery> = BTreeSet::new();
        for _ in 0..ROUNDS {
            let answer = self.bench.host().references(NAME, self.wanted, &found).await;
            let queries = match self.bench.settled(answer).await? {
                Ok(queries) => queries,
                Err(fault) => return Ok(Err(fault)),
            };
            let fresh: Vec<_> =
                queries.into_iter().filter(|query| !asked.contains(query)).collect();
            if fresh.is_empty() {
                break;
            }
            for query in fresh {
                match self.objects.find(&query, &self.wanted.namespace) {
                    Ok(objects) => found.extend(objects),
                    Err(why) => return Ok(Err(Fault::Malformed(why))),
                }
                asked.insert(query);
            }
        }
        Ok(Ok(found))
    }

    async fn route(&self) -> Result<Result<Vec<Change>, Fault>, Error> {
        match self.seen().await? {
            Ok(seen) => {
                let answer = self.bench.host().route(NAME, self.wanted, &seen).await;
                self.bench.settled(answer).await
            }
            Err(fault) => Ok(Err(fault)),
        }
    }

    async fn release(&self) -> Result<Result<Vec<Change>, Fault>, Error> {
        match self.seen().await? {
            Ok(seen) => {
                let answer = self.bench.host().release(NAME, self.wanted, &seen).await;
                self.bench.settled(answer).await
            }
            Err(fault) => Ok(Err(fault)),
        }
    }

    async fn verify(&self) -> Result<Result<Verification, Fault>, Error> {
        match self.seen().await? {
            Ok(seen) => {
                let answer = self.bench.host().verify(NAME, self.wanted, &seen).await;
                self.bench.settled(answer).await
            }
            Err(fault) => Ok(Err(fault)),
        }
    }

    async fn validate(&self) -> Result<Result<(), Fault>, Error> {
        let answer = self.bench.host().validate_router(NAME, &self.wanted.config).await;
        self.bench.settled(answer).await
    }
}

/// The answers that a case can expect, in the words of its file.
impl Expected {
    fn compare(&self, got: Result<Value, Fault>) -> (Value, Value) {
        match (self, got) {
            (Self::Patches(patches), Ok(got)) => (json!(patches), got),
            (Self::Answer(answer), Ok(got)) => (answer.clone(), got),
            (Self::Error(failure), Err(fault)) => {
                (json!({"error": failure.words()}), json!({"error": failure.seen(&fault)}))
            }
            (Self::Patches(patches), Err(fault)) => (json!(patches), whole(&fault)),
            (Self::Answer(answer), Err(fault)) => (answer.clone(), whole(&fault)),
            (Self::Error(failure), Ok(got)) => (json!({"error": failure.words()}), got),
        }
    }
}

fn whole(fault: &Fault) -> Value {
    json!({"error": {"kind": fault.kind(), "message": fault.to_string()}})
}
