//! Compiling in a process of its own, with limits that the system holds it to.
//!
//! A compiler that is fed by a stranger can be made slow, hungry, or to crash. In a process of its
//! own that costs one component, and nobody else. The process is given the bytes and nothing more:
//! no environment, no key, no file that it could open, no connection. What it hands out is machine
//! code as good or bad as what would have been compiled here, so it is kept and used likewise.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, nice, setrlimit};
use wasmtime::Engine;

use crate::engine;
use crate::limits::MOST_COMPONENT;

/// The most bytes of compiled code. The largest interpreters have 40 MiB.
const MOST_COMPILED: u64 = 256 << 20;
/// The most bytes of what the process says of itself.
const MOST_WORDS: u64 = 8 << 10;
/// Standard input, output and error: no further file or connection can be opened.
const FILES: u64 = 3;

/// How to compile in a process of its own: a program that calls [`compile_here`].
#[derive(Clone, Debug)]
pub struct Apart {
    /// The program.
    pub program: PathBuf,
    /// Its arguments, which have to tell it the bounds.
    pub arguments: Vec<OsString>,
    /// Its environment; it gets no other.
    pub variables: Vec<(OsString, OsString)>,
    /// How much it may use.
    pub bounds: CompileBounds,
}

/// How much compiling one component may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileBounds {
    /// Bytes of address space, those of the program itself included.
    pub memory: u64,
    /// Time on the clock, and on a processor; whole seconds.
    pub time: Duration,
}

/// Why nothing was compiled.
#[derive(Debug, thiserror::Error)]
pub enum ApartError {
    /// The process cannot be started or spoken to.
    #[error("no process to compile in: {0}")]
    NoProcess(io::Error),
    /// It took too long.
    #[error("it takes longer than {} s, see --compile-timeout", .0.as_secs())]
    Slow(Duration),
    /// The system ended it, most often since it asked for memory.
    #[error(
        "the compiler ended by signal {signal} with at most {} MiB of memory, see \
         --compile-memory: {words}",
        .memory >> 20
    )]
    Ended {
        /// The signal.
        signal: i32,
        /// The bytes of memory that it could have.
        memory: u64,
        /// What it said last.
        words: String,
    },
    /// The compiler refuses the component.
    #[error("{0}")]
    Refused(String),
}

impl Apart {
    /// The compiled component. Takes as long as compiling takes: not for an executor.
    pub(crate) fn compile(&self, component: &[u8]) -> Result<Vec<u8>, ApartError> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(ApartError::NoProcess)?;
        let (compiled, words, in_time) = self.exchange(&mut child, component);
        let status = child.wait().map_err(ApartError::NoProcess)?;
        if !in_time {
            return Err(ApartError::Slow(self.bounds.time));
        }
        self.judge(status, compiled, words)
    }

    /// Give it the component, and take what it says. It is ended when its time is up.
    fn exchange(&self, child: &mut Child, component: &[u8]) -> (Vec<u8>, String, bool) {
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        std::thread::scope(|scope| {
            let (done, told) = mpsc::channel();
            let words = scope.spawn(move || read(stderr, MOST_WORDS));
            // It may end before it has read everything; how it ended says more than this.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(component)));
            let compiled = scope.spawn(move || {
                let compiled = read(stdout, MOST_COMPILED);
                // Nobody waits for it any more if the time is up.
                let _ = done.send(());
                compiled
            });
            let in_time = told.recv_timeout(self.bounds.time).is_ok();
            if !in_time {
                // It may have ended in this moment, which is as well.
                let _ = child.kill();
            }
            let compiled = compiled.join().unwrap_or_default();
            let words = words.join().unwrap_or_default();
            (compiled, String::from_utf8_lossy(&words).trim().to_owned(), in_time)
        })
    }

    fn judge(
        &self,
        status: ExitStatus,
        compiled: Vec<u8>,
        words: String,
    ) -> Result<Vec<u8>, ApartError> {
        let xcpu = rustix::process::Signal::XCPU.as_raw();
        match status.signal() {
            None if status.success() => Ok(compiled),
            None => Err(ApartError::Refused(words)),
            Some(signal) if signal == xcpu => Err(ApartError::Slow(self.bounds.time)),
            Some(signal) => Err(ApartError::Ended { signal, memory: self.bounds.memory, words }),
        }
    }
}

/// What can be read of a pipe. One that breaks off is as good as one that ends.
fn read(pipe: Option<impl Read>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.take(most).read_to_end(&mut bytes);
    }
    bytes
}

/// The other side of [`Apart`]: give up everything that compiling does not need, compile the
/// component that comes in, and hand out what came of it.
///
/// The limits are for the whole process and stay, so it has nothing else to do.
///
/// # Errors
/// The limits cannot be set, or the component cannot be read, compiled or handed on.
pub fn compile_here(
    bounds: CompileBounds,
    input: impl Read,
    mut output: impl Write,
) -> Result<(), ApartError> {
    confine(bounds).map_err(|error| ApartError::NoProcess(error.into()))?;
    let mut component = Vec::new();
    input
        .take(MOST_COMPONENT as u64 + 1)
        .read_to_end(&mut component)
        .map_err(ApartError::NoProcess)?;
    let refused = |error: wasmtime::Error| ApartError::Refused(format!("{error:#}"));
    let engine = Engine::new(&engine::to_compile()).map_err(refused)?;
    let compiled = engine.precompile_component(&component).map_err(refused)?;
    output.write_all(&compiled).and_then(|()| output.flush()).map_err(ApartError::NoProcess)
}

fn confine(bounds: CompileBounds) -> rustix::io::Result<()> {
    let seconds = bounds.time.as_secs().max(1);
    let limits = [
        (Resource::As, bounds.memory, bounds.memory),
        // The first is a signal that says what is wrong, the second an end.
        (Resource::Cpu, seconds, seconds.saturating_add(1)),
        (Resource::Nofile, FILES, FILES),
        (Resource::Fsize, 0, 0),
        (Resource::Core, 0, 0),
    ];
    for (resource, soft, hard) in limits {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })?;
    }
    // Releases go first. Where that is not allowed, they go at the same time.
    let _ = nice(10);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, time: Duration) -> Apart {
        Apart {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            variables: vec![("ONLY".into(), "this".into())],
            bounds: CompileBounds { memory: 1 << 30, time },
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_comes_in_and_what_comes_out_is_whole() {
        let component: Vec<u8> = (0..1_000_000_u32).map(|i| (i % 251) as u8).collect();
        let echoed = shell("cat", LONG).compile(&component).unwrap();
        assert!(echoed == component, "{} bytes came back", echoed.len());
    }

    #[test]
    fn it_sees_nothing_of_this_process() {
        let seen = shell("echo $ONLY $HOME $PATH$CARGO_MANIFEST_DIR; pwd", LONG);
        let seen = String::from_utf8(seen.compile(b"").unwrap()).unwrap();
        assert!(seen.starts_with("this") && seen.ends_with("/\n"), "{seen}");
        assert!(!seen.contains("host/wasm"), "{seen}");
    }

    #[test]
    fn whatever_it_does_is_an_error_with_a_reason() {
        let slow = shell("exec sleep 1000", Duration::from_millis(50)).compile(b"").unwrap_err();
        assert!(matches!(slow, ApartError::Slow(_)), "{slow}");
        let long = shell("kill -XCPU $$", LONG).compile(b"").unwrap_err().to_string();
        assert_eq!(long, "it takes longer than 60 s, see --compile-timeout");
        let ended = shell("echo memory allocation failed >&2; kill -ABRT $$", LONG).compile(b"");
        let ended = ended.unwrap_err().to_string();
        assert!(ended.contains("signal 6") && ended.ends_with("allocation failed"), "{ended}");
        assert!(ended.contains("1024 MiB"), "{ended}");
        let refused = shell("echo no such thing >&2; exit 1", LONG).compile(b"").unwrap_err();
        assert_eq!(refused.to_string(), "no such thing");
        let flood = shell("cat /dev/zero | head -c 1000000 >&2; exit 1", LONG).compile(b"");
        assert!(matches!(flood, Err(ApartError::Refused(words)) if words.len() <= 8 << 10));
        let mut missing = shell("", LONG);
        missing.program = "/no/such/program".into();
        assert!(matches!(missing.compile(b""), Err(ApartError::NoProcess(_))));
    }
}
