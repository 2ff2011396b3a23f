//! Child processes that end with the test, however it ends, and whose output is kept.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use tokio::sync::watch;

/// How many lines of output are kept.
const KEPT_LINES: usize = 50_000;

/// Runs what its arguments say. Each line of the input names a signal to send it; at the end of the input it is ended.
///
/// The kernel closes the test's end of the pipe whatever becomes of the test, so nothing outlives it.
const GUARD: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
(
	while read -r signal <&3; do
		kill -"$signal" "$child"
	done
	kill -CONT "$child"
	kill -TERM "$child"
	for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		kill -0 "$child" || exit
		sleep 0.1
	done
	kill -KILL "$child"
) >/dev/null 2>&1 &
watcher=$!
wait "$child"
status=$?
kill "$watcher" 2>/dev/null
exit "$status"
"#;

/// Lines that a process has written, the last of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Output {
    fn keep(&self, line: String) {
        let mut lines = self.lines.lock().unwrap();
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Takes lines until the source ends.
    pub(crate) fn read_from(&self, source: impl Read + Send + 'static) {
        let output = self.clone();
        thread::spawn(move || {
            BufReader::new(source).lines().map_while(Result::ok).for_each(|l| output.keep(l))
        });
    }

    /// The lines in which `text` occurs.
    pub(crate) fn containing(&self, text: &str) -> Vec<String> {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(text)).cloned().collect()
    }

    /// The last lines in which `text` occurs, as one text.
    pub(crate) fn end(&self, text: &str, count: usize) -> String {
        let lines = self.containing(text);
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

/// A process behind the guard. Dropping this ends it.
#[derive(Debug)]
pub(crate) struct Guarded {
    signals: Option<ChildStdin>,
    ended: watch::Receiver<Option<i32>>,
    /// What it wrote to both of its outputs.
    pub(crate) output: Output,
}

impl Guarded {
    /// Starts a program.
    ///
    /// # Panics
    /// Where there is no shell.
    pub(crate) fn start(program: &Command) -> Self {
        let mut guard = Command::new("/bin/sh");
        guard.args(["-c", GUARD, "guard"]).arg(program.get_program()).args(program.get_args());
        for (key, value) in program.get_envs() {
            match value {
                Some(value) => guard.env(key, value),
                None => guard.env_remove(key),
            };
        }
        // Ctrl-C reaches the test alone.
        guard.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut guard = guard.spawn().expect("start a shell");
        let output = Output::default();
        output.read_from(guard.stdout.take().expect("a pipe"));
        output.read_from(guard.stderr.take().expect("a pipe"));
        Self { signals: guard.stdin.take(), ended: follow(guard), output }
    }

    /// Sends a signal, by its name without `SIG`. One that has ended gets none.
    pub(crate) fn signal(&mut self, name: &str) {
        if let Some(pipe) = &mut self.signals {
            // A broken pipe: it has ended.
            let _ = writeln!(pipe, "{name}");
        }
    }

    /// Its exit code once it has ended, 128 and the signal's number where it was killed.
    pub(crate) async fn ended(&self) -> i32 {
        let mut ended = self.ended.clone();
        let code = ended.wait_for(Option::is_some).await.expect("the process is waited for");
        code.expect("a code")
    }

    /// Whether it has ended, with which code.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        *self.ended.borrow()
    }
}

fn follow(mut child: Child) -> watch::Receiver<Option<i32>> {
    let (said, ended) = watch::channel(None);
    thread::spawn(move || {
        let code = child.wait().ok().as_ref().and_then(ExitStatus::code);
        said.send_replace(Some(code.unwrap_or(-1)));
    });
    ended
}
