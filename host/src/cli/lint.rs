//! `sluice lint`: what the controller would say about manifests, before they are applied.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::{Value, json};
use sluice_port::http::{Egress, HttpError, HttpRequest, HttpResponse};
use sluice_port::{Components as _, Fault};
use sluice_wasm::{ComponentHost, HostConfig};
use sluice_wire::lint::{Finding, Part, Report, Severity, Unfit, Validate, lint, read};
use tokio::runtime::Handle;

use super::files::files;
use super::output::print;
use crate::components::ComponentArgs;

/// Arguments of the command.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// YAML or JSON files, `-` for standard input. A folder stands for all such files below it.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How to print it.
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Output,
    /// The components that are asked.
    #[command(flatten)]
    pub components: ComponentArgs,
    /// Let warnings count as errors.
    #[arg(long)]
    pub strict: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A finding a line, with what to do about it on the next.
    #[default]
    Text,
    /// A JSON object.
    Json,
}

/// Lint. No cluster is asked. The exit code is 1 when something is wrong, and 2 when a file
/// cannot be read.
///
/// # Errors
/// When the output cannot be written, or the components cannot be loaded.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let texts = match texts(&args.files) {
        Ok(texts) => texts,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(2));
        }
    };
    let host = args.components.host(HostConfig::new(Arc::new(NoNetwork))).await?;
    let here = Handle::current();
    // Judging is not asynchronous, and a component answers within milliseconds.
    let report = tokio::task::block_in_place(|| {
        judge(&texts, args.strict, &|part, name, config| {
            here.block_on(ask(&host, part, name, config))
        })
    });
    match args.output {
        Output::Text => print(&text(&report))?,
        Output::Json => print(&format!("{:#}\n", json(&report)))?,
    }
    Ok(if passes(&report, args.strict) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the component says of its configuration.
async fn ask(host: &ComponentHost, part: Part, name: &str, config: &Value) -> Result<(), Unfit> {
    let config = config.to_string();
    let answer = match part {
        Part::Metric => host.validate_metric(name, &config).await,
        Part::Router => host.validate_router(name, &config).await,
        Part::Step => host.validate_step(name, &config).await,
    };
    answer.map_err(|fault| match fault {
        Fault::InvalidConfig(why) => Unfit::Wrong(why),
        Fault::Missing { .. } => Unfit::Unknown(format!(
            "{fault}; a folder with more components can be named by --plugins-dir"
        )),
        Fault::Transient { .. }
        | Fault::Failed { .. }
        | Fault::Trapped { .. }
        | Fault::TimedOut { .. }
        | Fault::CpuExceeded { .. }
        | Fault::MemoryExceeded { .. }
        | Fault::Malformed(_)
        | Fault::Suspended { .. } => Unfit::Unknown(format!("{name} cannot judge this: {fault}")),
    })
}

/// Configuration is judged offline.
struct NoNetwork;

impl Egress for NoNetwork {
    fn send<'a>(
        &'a self,
        _: &'a str,
        _: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>> {
        let refusal = HttpError::NotGranted("lint uses no network".to_owned());
        Box::pin(std::future::ready(Err(refusal)))
    }
}

/// A file's name as it is printed, and what is in it.
type Text = (String, String);

fn judge(texts: &[Text], strict: bool, validate: &Validate<'_>) -> Report {
    let mut unreadable = Vec::new();
    let mut documents = Vec::new();
    for (name, text) in texts {
        match read(name, text) {
            Ok(found) => documents.extend(found),
            Err(finding) => unreadable.push(*finding),
        }
    }
    let mut report = lint(&documents, validate);
    // First what keeps others from being found.
    report.findings.splice(..0, unreadable);
    if strict {
        report.findings.iter_mut().for_each(|finding| finding.severity = Severity::Error);
    }
    report
}

fn passes(report: &Report, strict: bool) -> bool {
    // A pipeline that names the wrong folder must not look at nothing for ever.
    let is_idle = strict && report.checked == 0;
    report.count(Severity::Error) == 0 && !is_idle
}

fn text(report: &Report) -> String {
    let mut out: String = report.findings.iter().map(|finding| format!("{finding}\n")).collect();
    let many =
        |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    out.push_str(&match (report.checked, report.findings.is_empty()) {
        (0, true) => "no object of Sluice's kinds found\n".to_owned(),
        (checked, true) => format!("{} checked, nothing found\n", many(checked, "object")),
        (checked, false) => format!(
            "{} checked: {}, {}\n",
            many(checked, "object"),
            many(errors, "error"),
            many(warnings, "warning")
        ),
    });
    out
}

fn json(report: &Report) -> Value {
    let finding = |finding: &Finding| {
        json!({
            "file": &*finding.file,
            "line": finding.line,
            "column": finding.column,
            "severity": finding.severity.name(),
            "object": finding.object,
            "path": finding.path,
            "problem": finding.problem,
            "fix": finding.fix,
        })
    };
    json!({
        "checked": report.checked,
        "errors": report.count(Severity::Error),
        "warnings": report.count(Severity::Warning),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn texts(paths: &[PathBuf]) -> anyhow::Result<Vec<Text>> {
    let mut texts = Vec::new();
    for path in files(paths)? {
        let read = if path == Path::new("-") {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map(|_| ("<stdin>".to_owned(), text))
        } else {
            std::fs::read_to_string(&path).map(|text| (path.display().to_string(), text))
        };
        texts.push(read.with_context(|| format!("cannot read {}", path.display()))?);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\n\
        metadata: {name: rates}\nspec:\n  templates:\n    - templateName: more\n";

    fn judged(texts: &[(&str, &str)], strict: bool) -> Report {
        let texts: Vec<_> =
            texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        judge(&texts, strict, &|_, _, _| Ok(()))
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error() {
        assert!(texts(&[PathBuf::from("nowhere.yaml")]).is_err());
    }

    #[test]
    fn warnings_pass_unless_they_are_taken_strictly() {
        let report = judged(&[("a.yaml", TEMPLATE)], false);
        assert_eq!(
            text(&report),
            "a.yaml:6: warning: AnalysisTemplate rates: spec.templates[0].templateName: \
             AnalysisTemplate \"more\" is not in these files\n\
             1 object checked: 0 errors, 1 warning\n"
        );
        assert!(passes(&report, false));
        let report = judged(&[("a.yaml", TEMPLATE)], true);
        assert_eq!(report.count(Severity::Error), 1);
        assert!(!passes(&report, true));
    }

    #[test]
    fn what_one_file_refers_to_may_be_in_another() {
        let more = "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\n\
            metadata: {name: more}\nspec:\n  metrics:\n    - name: rate\n      \
            provider: {prometheus: {query: up}}\n";
        let report = judged(&[("a.yaml", TEMPLATE), ("b.yaml", more)], true);
        assert_eq!(text(&report), "2 objects checked, nothing found\n");
    }

    #[test]
    fn a_text_that_is_no_yaml_does_not_hide_the_other_files() {
        let report = judged(&[("a.yaml", "a: [\n"), ("b.yaml", TEMPLATE)], false);
        assert_eq!((report.checked, report.count(Severity::Error)), (1, 1));
        let found = json(&report);
        assert_eq!(found["findings"][0]["file"], "a.yaml");
        assert_eq!(found["findings"][1]["path"], "spec.templates[0].templateName");
    }

    #[test]
    fn nothing_to_look_at_is_said_and_passes_unless_it_is_taken_strictly() {
        let report = judged(&[("a.yaml", "kind: ConfigMap\n")], false);
        assert_eq!(text(&report), "no object of Sluice's kinds found\n");
        assert!(passes(&report, false) && !passes(&report, true));
    }
}
