//! How a child ended, and why, in words.

use super::limit_watch::Ended;
use crate::process::{OutOfMemory, Whose};
use crate::profile::Bytes;
use crate::report::{Death, Stand};
use signal_hook::consts::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV};
use signal_hook::low_level::signal_name;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What follows, for a reader who does not know of two processes.
pub const NEXT: &str =
    "A new Python has been started. All names are gone: run the cells again that made them.";

/// What ended a process, to follow "Python ".
pub fn words(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was killed by {}", name(signal)),
        (None, Some(code)) => format!("ended itself with exit code {code}"),
        (None, None) => "is gone".to_owned(),
    }
}

/// Whether native code crashed, of which Python has noted where that was.
pub fn is_crash(status: ExitStatus) -> bool {
    matches!(status.signal(), Some(SIGSEGV | SIGABRT | SIGBUS | SIGFPE | SIGILL))
}

/// The report of an end, but for where it was and the memory.
pub fn explained(status: ExitStatus, memory: &OutOfMemory, in_cell: bool) -> Death {
    let ended_for_memory = memory.seen().filter(|_| status.signal() == Some(SIGKILL));
    let (what, cause) = match (ended_for_memory, status.signal()) {
        (Some(whose), _) => {
            ("The out-of-memory killer ended Python (SIGKILL)".to_owned(), whose_limit(whose))
        }
        (None, Some(signal)) => by_signal(signal),
        (None, None) => (
            format!("Python {}", words(status)),
            "os._exit() does that, or native code that calls exit().".to_owned(),
        ),
    };
    let limit = match ended_for_memory {
        Some(Whose::Group(limit)) => limit.map(|limit| ("limit of the control group", limit)),
        Some(Whose::Machine(all)) => all.map(|all| ("memory of the machine", all)),
        None => memory.limit().map(|limit| ("limit of the control group", limit)),
    };
    Death {
        headline: format!("{what}{}", if in_cell { "" } else { " while no cell ran" }),
        cause,
        limit: limit.map(|(name, bytes): (&str, Bytes)| (name.to_owned(), bytes)),
        next: NEXT.to_owned(),
        ..Death::default()
    }
}

/// We have ended it ourselves, unless it was faster.
pub fn at_limit(death: &mut Death, status: ExitStatus, ended: &Ended) {
    if status.signal() == Some(SIGKILL) {
        "Python was ended at its memory limit (SIGKILL)".clone_into(&mut death.headline);
        death.cause = ended.cause();
        death.limit = Some(("limit".to_owned(), ended.limit.bytes));
    }
}

/// The error's value: the report in a line.
pub fn error_value(death: &Death) -> String {
    let place = death
        .places
        .first()
        .map_or_else(String::new, |Stand { label, .. }| format!(", at {label}"));
    format!("{}{place}. {}", death.headline, death.next)
}

fn name(signal: i32) -> String {
    signal_name(signal).map_or_else(|| format!("signal {signal}"), ToOwned::to_owned)
}

fn whose_limit(whose: Whose) -> String {
    match whose {
        Whose::Group(Some(limit)) => format!(
            "Its control group, which a container or a batch job is, may take {limit}, and that was used up."
        ),
        Whose::Group(None) => {
            "What its control group, which a container or a batch job is, may take was used up."
                .to_owned()
        }
        Whose::Machine(Some(all)) => format!("The machine's memory, {all} in all, was used up."),
        Whose::Machine(None) => "The machine's memory was used up.".to_owned(),
    }
}

fn by_signal(signal: i32) -> (String, String) {
    let crashed = "Python crashed in native code";
    let (what, cause) = match signal {
        SIGKILL => (
            "Python was killed from outside",
            "Linux has ended no process for want of memory meanwhile: somebody sent the signal, as kill -9, a batch system or a container's manager does.",
        ),
        SIGSEGV => (crashed, "A C extension, or ctypes, touched memory that is not its own."),
        SIGBUS => (
            crashed,
            "It touched a page that is not there: a mapped file was cut short, or /dev/shm is full.",
        ),
        SIGABRT => (
            crashed,
            "It gave up: a failed assertion, a C++ exception that nobody took, or a damaged heap. What it said of that is in Jupyter's log.",
        ),
        SIGFPE => (crashed, "It divided an integer by zero."),
        SIGILL => (crashed, "It was built for another processor than this one."),
        _ => ("Python was ended from outside", "Somebody sent it this signal."),
    };
    (format!("{what} ({})", name(signal)), cause.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_words() {
        let memory = OutOfMemory::watch(std::process::id());
        let headline = |raw: i32| explained(ExitStatus::from_raw(raw), &memory, true).headline;
        assert_eq!(headline(SIGKILL), "Python was killed from outside (SIGKILL)");
        assert_eq!(headline(SIGSEGV), "Python crashed in native code (SIGSEGV)");
        assert_eq!(headline(3 << 8), "Python ended itself with exit code 3");
        assert_eq!(headline(40), "Python was ended from outside (signal 40)");
        let idle = explained(ExitStatus::from_raw(SIGABRT), &memory, false);
        assert!(idle.headline.ends_with("(SIGABRT) while no cell ran"));
        assert!(error_value(&idle).ends_with(NEXT));
    }
}
