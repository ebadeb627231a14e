//! One thing that somebody does with kubectl, and what he must see.

/// A command line of kubectl's, and what is expected of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    /// The arguments, as one would write them in a shell: words, quotes, `{name}` for what was kept.
    pub(crate) args: &'static str,
    /// What it reads.
    pub(crate) stdin: Option<&'static str>,
    /// What it ends with.
    pub(crate) code: i32,
    /// Lines that must be in what it writes, blanks as one each; `*` stands for anything.
    pub(crate) lines: Vec<&'static str>,
    /// What must not be in it.
    pub(crate) never: Option<&'static str>,
    /// What it edits files with.
    pub(crate) editor: Option<&'static str>,
    /// The only version that can do it; `None`: all.
    pub(crate) version: Option<&'static str>,
    /// Run by the newest one whichever is tested: it prepares what the others look at.
    pub(crate) newest: bool,
    /// A real server does otherwise.
    pub(crate) ours: bool,
    /// Under which name its output is kept for later ones.
    pub(crate) keep: Option<&'static str>,
    /// Done while it runs, once it waits for changes; then it must write the rest.
    pub(crate) meanwhile: Vec<&'static str>,
    /// It goes on until it is ended.
    pub(crate) endless: bool,
}

/// A command that succeeds.
pub(crate) fn run(args: &'static str) -> Case {
    Case {
        args,
        ..Case::default()
    }
}

/// A command that fails.
pub(crate) fn refuse(args: &'static str) -> Case {
    Case {
        code: 1,
        ..run(args)
    }
}

impl Case {
    /// Must be in what it writes.
    pub(crate) fn says(mut self, lines: &[&'static str]) -> Self {
        self.lines = lines.to_vec();
        self
    }

    /// Must not be in what it writes.
    pub(crate) fn never(mut self, text: &'static str) -> Self {
        self.never = Some(text);
        self
    }

    /// What it reads.
    pub(crate) fn with(mut self, stdin: &'static str) -> Self {
        self.stdin = Some(stdin);
        self
    }

    /// What it edits with.
    pub(crate) fn editor(mut self, command: &'static str) -> Self {
        self.editor = Some(command);
        self
    }

    /// Only this version can do it.
    pub(crate) fn only(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    /// Run by the newest one.
    pub(crate) fn newest(mut self) -> Self {
        self.newest = true;
        self
    }

    /// Not to be asked of a real server.
    pub(crate) fn ours(mut self) -> Self {
        self.ours = true;
        self
    }

    /// Keeps the output.
    pub(crate) fn keep(mut self, name: &'static str) -> Self {
        self.keep = Some(name);
        self
    }

    /// Done while it runs; it ends by itself.
    pub(crate) fn meanwhile(mut self, commands: &[&'static str]) -> Self {
        self.meanwhile = commands.to_vec();
        self
    }

    /// Done while it runs; it would go on for ever.
    pub(crate) fn watching(mut self, commands: &[&'static str]) -> Self {
        self.endless = true;
        self.meanwhile(commands)
    }

    /// Whether it writes what there is before it waits for changes.
    pub(crate) fn speaks_first(&self) -> bool {
        self.endless && !self.args.contains("--watch-only")
    }

    /// What is missing in what was written, or should not be there.
    pub(crate) fn complaint(&self, written: &str) -> Option<String> {
        let lines: Vec<String> = written.lines().map(single_spaced).collect();
        let missing = self
            .lines
            .iter()
            .find(|pattern| !lines.iter().any(|line| matches(pattern, line)));
        if let Some(missing) = missing {
            return Some(format!("no line `{missing}`"));
        }
        let never = self.never.filter(|never| written.contains(never));
        never.map(|never| format!("it says `{never}`"))
    }
}

/// The words of a command line: blanks divide, single quotes hold together.
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut is_quoted = false;
    for letter in line.chars() {
        match letter {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

fn single_spaced(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a line is what a pattern says, in which `*` stands for anything.
fn matches(pattern: &str, line: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else {
        return pattern == line;
    };
    let Some(mut left) = line.strip_prefix(begin) else {
        return false;
    };
    let mut parts: Vec<_> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_divided_as_a_shell_does() {
        let line = "patch wvol a -p '{\"a\": 1}' --type=merge ''";
        let wanted = ["patch", "wvol", "a", "-p", "{\"a\": 1}", "--type=merge", ""];
        assert_eq!(words(line), wanted);
    }

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("pool-a node-1 *", "pool-a node-1 5s"));
        assert!(matches("*not found", "Error: x not found"));
        assert!(matches("a * c * e", "a b c d e"));
        assert!(!matches("a * c", "a b d"));
        assert!(!matches("a *", "b a c"));
        assert!(matches("same", "same"));
    }

    #[test]
    fn what_is_missing_or_should_not_be_there_is_named() {
        let case = run("get x").says(&["NAME  *"]);
        assert!(
            case.complaint("NAME   AGE").is_some(),
            "patterns have single blanks"
        );
        let case = run("get x").says(&["NAME AGE", "a *"]).never("error");
        assert_eq!(case.complaint("NAME   AGE\na      5s\n"), None);
        assert!(case.complaint("NAME   AGE\n").unwrap().contains("`a *`"));
        assert!(
            case.complaint("NAME AGE\na 5s\nerror")
                .unwrap()
                .contains("`error`")
        );
    }
}
