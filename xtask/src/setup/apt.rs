//! A private apt: package lists and downloads of any Debian suite, without touching the system's
//! own configuration and without naming a mirror, which is taken from the machine's.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::command::Cmd;
use crate::progress::Progress;

/// Signs every Debian archive.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// apt over one suite, with an empty set of installed packages.
pub(crate) struct Apt {
    suite: &'static str,
    options: Vec<String>,
}

impl Apt {
    /// Opens it with fresh package lists.
    pub(crate) fn open(cache: &Cache, suite: &'static str) -> Result<Self> {
        if !Path::new(KEYRING).exists() {
            bail!(
                "{KEYRING} is missing: install the package debian-archive-keyring (other \
                 distributions carry it too), then run this again"
            );
        }
        let dir = cache.dir(&format!("apt/{suite}"))?;
        for sub in [
            "etc/preferences.d",
            "etc/apt.conf.d",
            "lists/partial",
            "cache/archives/partial",
        ] {
            fs::create_dir_all(dir.join(sub)).with_context(|| format!("making {sub}"))?;
        }
        let mirror = mirror()?;
        // Backports lean on the release they were made for.
        let base = suite.trim_end_matches("-backports");
        let mut suites = vec![base];
        suites.extend((base != suite).then_some(suite));
        let sources: String = suites
            .iter()
            .map(|suite| format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n"))
            .collect();
        fs::write(dir.join("sources.list"), sources).context("writing sources.list")?;
        let dir = dir.display();
        let options = [
            format!("Dir::Etc={dir}/etc"),
            format!("Dir::Etc::SourceList={dir}/sources.list"),
            "Dir::Etc::SourceParts=-".to_owned(),
            format!("Dir::State={dir}"),
            format!("Dir::State::Lists={dir}/lists"),
            "Dir::State::status=/dev/null".to_owned(),
            format!("Dir::Cache={dir}/cache"),
            "APT::Architecture=amd64".to_owned(),
            "Acquire::Retries=3".to_owned(),
        ];
        let apt = Apt {
            suite,
            options: options.into(),
        };
        let progress = Progress::spinner(format!("package lists of {suite}"));
        apt.get(["-q", "update"]).run().context(
            "could not read Debian's package lists: this machine must reach the mirror of its own \
             apt configuration once",
        )?;
        progress.done();
        Ok(apt)
    }

    /// Downloads packages and all they depend on; returns the files, dependencies first or not.
    pub(crate) fn download(&self, packages: &[&str], into: &Path) -> Result<Vec<PathBuf>> {
        let install = ["install", "-q", "-y", "--no-install-recommends"];
        let list = self
            .get(install)
            .arg("--print-uris")
            .args(packages)
            .read()?;
        let files: Vec<Archive> = list.lines().filter_map(Archive::parse).collect();
        if files.is_empty() {
            bail!("apt found nothing to download for {}", packages.join(" "));
        }
        fs::create_dir_all(into.join("partial")).context("making the download directory")?;
        let total = files.iter().map(|file| file.size).sum();
        let progress =
            Progress::bytes(format!("{} packages of {}", files.len(), self.suite), total);
        let archives = format!("Dir::Cache::archives={}/", into.display());
        let download = self
            .get(install)
            .args(["--download-only", "-o", &archives])
            .args(packages);
        watch(download, into, progress)?;
        Ok(files.into_iter().map(|file| into.join(file.name)).collect())
    }

    /// Downloads one package of one version, without what it depends on.
    pub(crate) fn download_alone(
        &self,
        package: &str,
        version: &str,
        into: &Path,
    ) -> Result<PathBuf> {
        fs::create_dir_all(into).context("making the download directory")?;
        let wanted = format!("{package}={version}");
        let list = self.get(["download", "--print-uris", &wanted]).read()?;
        let file = list.lines().find_map(Archive::parse);
        let file = file.with_context(|| format!("{} has no {wanted}", self.suite))?;
        let progress = Progress::bytes(format!("{package} {version}"), file.size);
        let download = self.get(["download", "-q", &wanted]).dir(into);
        watch(download, into, progress)?;
        Ok(into.join(file.name))
    }

    /// The newest version of a package whose version begins with `prefix`.
    pub(crate) fn version(&self, package: &str, prefix: &str) -> Result<Option<String>> {
        let table = self.apt("apt-cache").args(["madison", package]).read()?;
        let versions = table
            .lines()
            .filter_map(|line| line.split('|').nth(1))
            .map(str::trim);
        Ok(versions
            .filter(|version| version.starts_with(prefix))
            .map(str::to_owned)
            .next())
    }

    fn get<const N: usize>(&self, args: [&str; N]) -> Cmd {
        self.apt("apt-get").args(["-t", self.suite]).args(args)
    }

    fn apt(&self, program: &str) -> Cmd {
        let options = self.options.iter().flat_map(|option| ["-o", option]);
        Cmd::new(program).args(options).env("LC_ALL", "C")
    }
}

/// Runs a download, showing how much of it has arrived.
fn watch(download: Cmd, into: &Path, progress: Progress) -> Result<()> {
    std::thread::scope(|scope| {
        let running = scope.spawn(|| download.run());
        while !running.is_finished() {
            progress.at(size_below(into));
            std::thread::sleep(Duration::from_millis(100));
        }
        let ended = running.join();
        ended.unwrap_or_else(|_| bail!("the download panicked"))
    })?;
    progress.done();
    Ok(())
}

/// A line of `--print-uris`: 'URI' name size hash.
struct Archive {
    name: String,
    size: u64,
}

impl Archive {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix('\'')?.split_whitespace();
        let name = words.nth(1)?.to_owned();
        Some(Archive {
            name,
            size: words.next()?.parse().ok()?,
        })
    }
}

/// The mirror of Debian's main archive that this machine is set up with.
fn mirror() -> Result<String> {
    let list = || {
        let format = "$(REPO_URI) $(ORIGIN) $(LABEL)";
        Cmd::new("apt-get")
            .args(["indextargets", "--format", format, "Created-By: Packages"])
            .read()
    };
    let find = |targets: String| {
        targets
            .lines()
            .find_map(|line| line.strip_suffix(" Debian Debian").map(str::to_owned))
    };
    if let Some(mirror) = find(list().context("apt-get is needed to know a Debian mirror")?) {
        return Ok(mirror);
    }
    // A machine that never ran `apt-get update` doesn't know the origins of its sources yet.
    let _ = Cmd::new("apt-get").args(["-q", "update"]).run();
    find(list()?).context(
        "apt knows no mirror of Debian's main archive. Add one to the machine's apt sources and \
         run `apt-get update` as root, then run this again",
    )
}

fn size_below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size_below(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_print_uris_gives_name_and_size() {
        let line = "'scheme://mirror/pool/l/lvm2_2.03.31-2_amd64.deb' lvm2_2.03.31-2_amd64.deb 1287460 SHA256:ab";
        let archive = Archive::parse(line).unwrap();
        assert_eq!(
            (archive.name.as_str(), archive.size),
            ("lvm2_2.03.31-2_amd64.deb", 1_287_460)
        );
        assert!(Archive::parse("Reading package lists...").is_none());
    }
}
