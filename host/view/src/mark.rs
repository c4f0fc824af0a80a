//! The one-letter marks before a status, and their colours.

use crate::Style;

/// What a status means, whatever kind of object it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Good,
    Working,
    Waiting,
    Paused,
    Bad,
    Warning,
    Idle,
    Unknown,
}

impl Mark {
    /// The mark of a status word of a rollout, ReplicaSet, analysis run, Job or experiment.
    pub(crate) fn of_status(status: &str) -> Self {
        match status {
            "Healthy" | "Successful" => Self::Good,
            "Progressing" | "Running" => Self::Working,
            "Pending" => Self::Waiting,
            "Paused" => Self::Paused,
            "Degraded" | "Failed" => Self::Bad,
            "Error" => Self::Warning,
            "ScaledDown" => Self::Idle,
            _ => Self::Unknown,
        }
    }

    /// The mark of a pod's status word, which is a phase or the reason of a container.
    pub(crate) fn of_pod(status: &str, is_ready: bool) -> Self {
        match status {
            "Running" if is_ready => Self::Good,
            "Completed" | "Succeeded" => Self::Good,
            "Running" | "Pending" | "ContainerCreating" | "PodInitializing" | "Terminating"
            | "NotReady" => Self::Working,
            "Unknown" => Self::Unknown,
            "Failed" | "Evicted" | "OOMKilled" | "Error" | "InvalidImageName" => Self::Bad,
            other if other.ends_with("BackOff") || other.contains("Err") => Self::Bad,
            other if other.starts_with("Init:") => Self::Working,
            _ => Self::Warning,
        }
    }

    /// The mark's letter.
    pub(crate) fn glyph(self) -> char {
        match self {
            Self::Good => '✔',
            Self::Working => '◌',
            Self::Waiting => '◷',
            Self::Paused => '॥',
            Self::Bad => '✖',
            Self::Warning => '⚠',
            Self::Idle => '•',
            Self::Unknown => '?',
        }
    }

    /// The mark's letter, coloured when the style asks for it.
    pub(crate) fn paint(self, style: Style) -> String {
        let glyph = self.glyph();
        match self.color().filter(|_| style.color) {
            Some(code) => format!("\u{1b}[{code}m{glyph}\u{1b}[0m"),
            None => glyph.to_string(),
        }
    }

    /// The number of an ANSI foreground colour; `None` leaves the terminal's own.
    fn color(self) -> Option<u8> {
        match self {
            Self::Good => Some(32),
            Self::Working | Self::Waiting | Self::Paused => Some(36),
            Self::Bad => Some(31),
            Self::Warning => Some(33),
            Self::Idle => Some(90),
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Mark;

    #[test]
    fn a_pod_is_only_good_when_it_is_ready() {
        assert_eq!(Mark::of_pod("Running", true), Mark::Good);
        assert_eq!(Mark::of_pod("Running", false), Mark::Working);
        assert_eq!(Mark::of_pod("CrashLoopBackOff", false), Mark::Bad);
        assert_eq!(Mark::of_pod("ErrImagePull", false), Mark::Bad);
        assert_eq!(Mark::of_pod("Init:ErrImagePull", false), Mark::Bad);
        assert_eq!(Mark::of_pod("Init:0/2", false), Mark::Working);
    }
}
