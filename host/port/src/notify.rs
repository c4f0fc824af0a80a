//! Notifiers: what became true of a rollout, told to people and their tools.

/// Something that became true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notice {
    /// Of this fact alone, and the same for every try.
    pub key: String,
    /// The reason of the Event, such as `RolloutAborted`.
    pub reason: String,
    /// Whether somebody should look: the Event is a `Warning`.
    pub warning: bool,
    /// The message of the Event.
    pub message: String,
    /// When it became true, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Namespace of the Rollout.
    pub namespace: String,
    /// Name of the Rollout.
    pub rollout: String,
    /// UID of the Rollout.
    pub rollout_uid: String,
    /// Revision that it is about, as in `rollout.argoproj.io/revision`.
    pub revision: String,
    /// `status.phase` of the Rollout when it is told.
    pub phase: String,
    /// The images of the Rollout's pod template when it is told, each once, sorted.
    pub images: Vec<String>,
    /// Who is to hear of it, as the subscription says.
    pub recipients: Vec<String>,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The other side has it, with the name that it has there, if any.
    Delivered(Option<String>),
    /// Not yet; to be tried again after so many milliseconds.
    RetryAfter(u32),
}
