//! What a process runs, in a few words that tell it from others.

/// Letters of a label at most.
const LONGEST: usize = 48;

/// Modules that run a worker of Python's own or of joblib, and what their processes are called.
const WORKERS: [(&str, &str); 6] = [
    ("multiprocessing.resource_tracker", "multiprocessing resource tracker"),
    ("multiprocessing.forkserver", "multiprocessing fork server"),
    ("multiprocessing.spawn", "python worker (spawn)"),
    ("loky.backend.resource_tracker", "loky resource tracker"),
    ("loky.backend.popen_loky", "python worker (loky)"),
    ("loky.backend.fork_exec", "python worker (loky)"),
];

/// The label for a process with these arguments; `forked`: it runs a copy of its parent, whose
/// arguments it shows.
pub(super) fn label(arguments: &[String], forked: bool) -> Option<String> {
    let (program, rest) = arguments.split_first()?;
    let program = program.rsplit('/').next().unwrap_or(program);
    // A login shell begins with a dash.
    let program = program.strip_prefix('-').unwrap_or(program);
    let python = program.starts_with("python");
    let program = if python { "python" } else { program };
    if forked {
        return Some(clip(&format!("{program} worker (fork)")));
    }
    if python && let Some(worker) = rest.iter().find_map(|argument| worker(argument)) {
        return Some(worker.to_owned());
    }
    Some(clip(&match telling(rest) {
        Some((option, argument)) => format!("{program} {option}{argument}"),
        None => program.to_owned(),
    }))
}

fn worker(argument: &str) -> Option<&'static str> {
    WORKERS.iter().find(|(module, _)| argument.contains(module)).map(|(_, label)| *label)
}

/// The first argument that is no option, or what `-c` or `-m` is followed by.
fn telling(arguments: &[String]) -> Option<(&str, &str)> {
    let mut arguments = arguments.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        match argument {
            "-c" => return arguments.next().map(|code| ("-c ", code.trim())),
            "-m" => return arguments.next().map(|module| ("-m ", module)),
            // Python's options that take a value.
            "-X" | "-W" => _ = arguments.next(),
            option if option.starts_with('-') => {}
            path => {
                let last = path.rsplit('/').find(|part| !part.is_empty());
                return Some(("", last.unwrap_or(path)));
            }
        }
    }
    None
}

/// One line of at most [`LONGEST`] letters.
fn clip(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some(_) => line.chars().take(LONGEST - 1).chain(['…']).collect(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Option<String> {
        let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        label(&arguments, false)
    }

    #[test]
    fn a_label_says_what_tells_it_from_others() {
        for (arguments, expected) in [
            (&["/usr/bin/git", "--no-pager", "log"][..], "git log"),
            (&["ls", "-la"], "ls"),
            (&["-bash"], "bash"),
            (&["/bin/sh", "-c", " echo (a   b)\n| wc"], "sh -c echo (a b) | wc"),
            (&["/opt/python3.13", "-u", "/home/me/train.py", "7"], "python train.py"),
            (&["python", "-X", "dev", "-m", "pip", "list"], "python -m pip"),
            (&["python", "-m", "pip", "list"], "python -m pip"),
            (&["ls", "/"], "ls /"),
        ] {
            assert_eq!(of(arguments).as_deref(), Some(expected));
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["x", &"y".repeat(200)]).map(|text| text.chars().count()), Some(LONGEST));
    }

    #[test]
    fn workers_are_called_by_what_started_them() {
        let spawn = "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=6)";
        let tracker = "from multiprocessing.resource_tracker import main;main(5)";
        let loky = "joblib.externals.loky.backend.popen_loky_posix";
        let python = "/usr/bin/python3.13";
        assert_eq!(
            of(&[python, "-c", spawn, "--multiprocessing-fork"]).unwrap(),
            "python worker (spawn)"
        );
        assert_eq!(of(&[python, "-c", tracker]).unwrap(), "multiprocessing resource tracker");
        assert_eq!(of(&[python, "-m", loky, "--pipe"]).unwrap(), "python worker (loky)");
        let kernel = [python.to_owned(), "-m".into(), "ipykernel_launcher".into()];
        assert_eq!(label(&kernel, true).unwrap(), "python worker (fork)");
    }
}
