//! Options with which a file system is made. They come from whoever writes a StorageClass and end in a command that runs as root on
//! a node, so what is not known to be harmless is refused: another device, another place on the device, no file system at all, and
//! above all `-F` and `-f`, since whether a device may be formatted is ours to decide.

use std::fmt;

use crate::capability::FsType;

/// Words for mkfs, before the device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MkfsOptions(Vec<String>);

/// An option letter, and the words its value may have, each with or without `=…`; none: a number or a name.
type Letter = (&'static str, &'static [&'static str]);

/// mke2fs(8). Not: `-F`, `-n`, `-S`, `-q`, `-c`, `-d`, `-E offset=` (elsewhere on the device), `-J device=`, `-O journal_dev`.
const EXT4: &[Letter] = &[
    ("-b", &[]),
    ("-C", &[]),
    ("-g", &[]),
    ("-G", &[]),
    ("-i", &[]),
    ("-I", &[]),
    ("-m", &[]),
    ("-N", &[]),
    ("-T", &[]),
    ("-J", &["size", "fast_commit_size"]),
    (
        "-E",
        &[
            "stride",
            "stripe_width",
            "stripe-width",
            "resize",
            "lazy_itable_init",
            "lazy_journal_init",
            "packed_meta_blocks",
            "num_backup_sb",
            "discard",
            "nodiscard",
        ],
    ),
    (
        "-O",
        &[
            "64bit",
            "bigalloc",
            "casefold",
            "dir_index",
            "dir_nlink",
            "ea_inode",
            "encrypt",
            "ext_attr",
            "extent",
            "extra_isize",
            "fast_commit",
            "filetype",
            "flex_bg",
            "has_journal",
            "huge_file",
            "inline_data",
            "large_dir",
            "large_file",
            "meta_bg",
            "metadata_csum",
            "metadata_csum_seed",
            "orphan_file",
            "project",
            "quota",
            "resize_inode",
            "sparse_super",
            "sparse_super2",
            "stable_inodes",
            "uninit_bg",
            "verity",
        ],
    ),
];

/// mkfs.xfs(8). Not: `-f`, `-N`, `-p`, `-c`, `-q`, `-d file= name= size=`, `-l logdev= name= internal=`, `-m uuid=`, `-r`.
const XFS: &[Letter] = &[
    ("-b", &["size"]),
    ("-s", &["size"]),
    ("-K", &[]),
    (
        "-d",
        &[
            "agcount",
            "agsize",
            "concurrency",
            "cowextsize",
            "daxinherit",
            "extszinherit",
            "noalign",
            "su",
            "sunit",
            "sw",
            "swidth",
        ],
    ),
    (
        "-i",
        &[
            "align",
            "attr",
            "exchange",
            "maxpct",
            "nrext64",
            "perblock",
            "projid32bit",
            "size",
            "sparse",
        ],
    ),
    (
        "-l",
        &[
            "concurrency",
            "lazy-count",
            "size",
            "su",
            "sunit",
            "version",
        ],
    ),
    (
        "-m",
        &[
            "autofsck",
            "bigtime",
            "crc",
            "finobt",
            "inobtcount",
            "metadir",
            "reflink",
            "rmapbt",
        ],
    ),
    ("-n", &["ftype", "parent", "size", "version"]),
];

/// Options without a value.
const ALONE: [&str; 1] = ["-K"];

impl MkfsOptions {
    pub(super) fn parse(text: &str, fs_type: FsType) -> Result<Self, String> {
        let letters = match fs_type {
            FsType::Ext4 => EXT4,
            FsType::Xfs => XFS,
        };
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            let Some((letter, values)) = letters.iter().find(|(letter, _)| letter == word) else {
                let known: Vec<&str> = letters.iter().map(|(letter, _)| *letter).collect();
                return Err(format!(
                    "`{word}` is none of {}, each a word of its own with its value after it",
                    known.join(" ")
                ));
            };
            if ALONE.contains(letter) {
                continue;
            }
            let Some(value) = rest.next() else {
                return Err(format!("`{word}` has no value"));
            };
            check(letter, value, values)?;
        }
        Ok(MkfsOptions(words.into_iter().map(str::to_owned).collect()))
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

fn check(letter: &str, value: &str, allowed: &[&str]) -> Result<(), String> {
    let is_plain = |text: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        !text.is_empty() && !text.starts_with('-') && text.bytes().all(inner)
    };
    if allowed.is_empty() {
        return match is_plain(value) {
            true => Ok(()),
            false => Err(format!("`{letter} {value}`: a number or a name is wanted")),
        };
    }
    for part in value.split(',') {
        let (name, value) = part
            .split_once('=')
            .map_or((part, None), |(n, v)| (n, Some(v)));
        // A feature may be switched off.
        let name = name.strip_prefix('^').unwrap_or(name);
        if !allowed.contains(&name) || !value.is_none_or(is_plain) {
            return Err(format!(
                "`{letter} {part}` is none of {}",
                allowed.join(", ")
            ));
        }
    }
    Ok(())
}

impl fmt::Display for MkfsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tunes_a_file_system_is_taken() {
        for (fs_type, text) in [
            (FsType::Ext4, ""),
            (
                FsType::Ext4,
                "-m 0 -E stride=16,stripe_width=64,nodiscard -O ^has_journal,metadata_csum",
            ),
            (FsType::Ext4, "-T largefile4 -i 65536 -J size=64"),
            (
                FsType::Xfs,
                "-K -m reflink=1,rmapbt=0 -d su=64k,sw=4 -i size=512",
            ),
        ] {
            let read = MkfsOptions::parse(text, fs_type).unwrap();
            assert_eq!(read.to_string(), text);
        }
    }

    /// Whether a device may be formatted, and which, is never an option's to say.
    ///
    /// Seen red with: `-F` and `-f` in the tables; `offset` in `-E`'s.
    #[test]
    fn what_could_destroy_is_refused() {
        let both = [
            "-F",
            "-f",
            "-n",
            "-N",
            "/dev/sda",
            "-m 0 /dev/sda",
            "-",
            "--",
            "-m",
            "-b -F",
            "-b /dev/sda",
            "-b 4096;x",
            "-m0",
        ];
        let ext4 = [
            "-E offset=1048576",
            "-E nodiscard,offset=1",
            "-J device=/dev/sda",
            "-J size=/dev/sda",
            "-O journal_dev",
            "-d /etc",
            "-S",
            "-c",
            "-U clear",
            "-L x",
            "-E stride=1 -E",
        ];
        let xfs = [
            "-d name=/dev/sda",
            "-d file",
            "-d size=1g",
            "-l logdev=/dev/sda",
            "-r rtdev=/dev/sda",
            "-m uuid=x",
            "-p /etc/passwd",
            "-c options=/etc/x",
            "-L x",
        ];
        for (fs_type, texts) in [(FsType::Ext4, &ext4[..]), (FsType::Xfs, &xfs[..])] {
            for text in texts.iter().chain(&both) {
                assert!(MkfsOptions::parse(text, fs_type).is_err(), "{text}");
            }
        }
    }
}
