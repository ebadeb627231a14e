//! What device mapper says of a thin pool, read into types.

use weir_api::pool::ThinUsage;

/// How a thin pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// How full it is; a broken one does not say.
    pub usage: Option<ThinUsage>,
    /// What that comes to.
    pub level: Level,
}

/// How bad it is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It has room.
    Room,
    /// It takes no more volumes.
    NearlyFull,
    /// Writes to its volumes wait, and fail in the end.
    OutOfSpace,
    /// It takes no writes until somebody checked its metadata.
    Broken,
}

impl Fill {
    const BROKEN: Fill = Fill {
        usage: None,
        level: Level::Broken,
    };
}

/// How the thin pool with this path below `/dev/mapper` is, by the output of `dmsetup status`; `None` while it is
/// not active.
///
/// # Errors
/// Says what could not be read.
pub(super) fn read(text: &str, path: &str) -> Result<Option<Fill>, String> {
    let name = path.strip_prefix("/dev/mapper/").unwrap_or(path);
    for row in text.lines() {
        let Some((device, status)) = row.split_once(": ") else {
            continue;
        };
        // LVM puts another device over one that has volumes; a hyphen in an LV's own name is doubled.
        if device == name || device.strip_suffix("-tpool") == Some(name) {
            let mut words = status.split_whitespace().skip(2);
            if words.next() == Some("thin-pool") {
                let words: Vec<&str> = words.collect();
                let fill = fill(&words).ok_or_else(|| format!("`{row}` is not a thin pool"))?;
                return Ok(Some(fill));
            }
        }
    }
    Ok(None)
}

/// Reads what follows the target's name: `transaction used/all used/all held-root mode discards errors needs-check
/// low-watermark`, the first pair of metadata and the second of data
/// (Documentation/admin-guide/device-mapper/thin-provisioning.rst).
fn fill(words: &[&str]) -> Option<Fill> {
    // `Fail`, or `Error` where it could not find out.
    if let ["Fail" | "Error"] = words {
        return Some(Fill::BROKEN);
    }
    let [_, metadata, data, _, mode, rest @ ..] = words else {
        return None;
    };
    let usage = ThinUsage::of(pair(data)?, pair(metadata)?);
    let level = match *mode {
        _ if rest.contains(&"needs_check") => Level::Broken,
        "ro" => Level::Broken,
        "out_of_data_space" => Level::OutOfSpace,
        "rw" if usage.is_full() => Level::OutOfSpace,
        "rw" if usage.is_over() => Level::NearlyFull,
        "rw" => Level::Room,
        _ => return None,
    };
    Some(Fill {
        usage: Some(usage),
        level,
    })
}

fn pair(text: &str) -> Option<(u64, u64)> {
    let (used, all) = text.split_once('/')?;
    Some((used.parse().ok()?, all.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROWS: &str = "weir--fast-w_1: 0 131072 thin 8192 131071\n\
        theirs-weir_thin: 0 131072 thin-pool 1 1024/1024 0/1024 - rw no_discard_passdown queue_if_no_space - 1024\n\
        weir--fast-weir_thin-tpool: 0 131072 thin-pool 1 11/1024 512/1024 - rw discard_passdown queue_if_no_space - 1024\n\
        weir--fast-weir_thin: 0 131072 linear \n";

    fn path(group: &str) -> String {
        format!("/dev/mapper/{group}-weir_thin")
    }

    #[test]
    fn a_thin_pool_is_told_from_others_whether_it_has_volumes_or_not() {
        let usage = |group: &str| read(ROWS, &path(group)).unwrap().map(|fill| fill.usage);
        let (data_percent, metadata_percent) = (50, 2);
        let fast = ThinUsage {
            data_percent,
            metadata_percent,
        };
        assert_eq!(usage("weir--fast"), Some(Some(fast)));
        assert_eq!(usage("theirs").flatten().unwrap().metadata_percent, 100);
        assert_eq!(usage("weir--slow"), None);
        for none in ["No devices found\n", ""] {
            assert_eq!(read(none, &path("theirs")), Ok(None));
        }
    }

    /// Seen red with: `"ro"` taken for `"rw"`.
    #[test]
    fn what_the_kernel_says_comes_to_a_level() {
        let rows = [
            ("1 11/1024 0/1024 - rw d q - 1024", Level::Room),
            ("1 11/1024 911/1024 - rw d q - 1024", Level::Room),
            ("1 11/1024 912/1024 - rw d q - 1024", Level::NearlyFull),
            ("1 810/1024 0/1024 - rw d q - 1024", Level::NearlyFull),
            ("1 11/1024 1024/1024 - rw d q - 1024", Level::OutOfSpace),
            (
                "1 11/1024 1000/1024 - out_of_data_space d q - 1024",
                Level::OutOfSpace,
            ),
            ("1 11/1024 5/1024 - ro d q - 1024", Level::Broken),
            ("1 11/1024 5/1024 - rw d q needs_check 1024", Level::Broken),
            ("Fail", Level::Broken),
            ("Error", Level::Broken),
        ];
        for (args, level) in rows {
            let text = format!("vg0-weir_thin: 0 8192 thin-pool {args}\n");
            let fill = read(&text, &path("vg0")).unwrap().unwrap();
            assert_eq!(fill.level, level, "{args}");
        }
        for bad in [
            "",
            "1 11/1024 5 - rw d q - 1",
            "1 x/1 5/1 - rw d",
            "1 1/2 1/2 - new d",
        ] {
            let text = format!("vg0-weir_thin: 0 8192 thin-pool {bad}\n");
            assert!(read(&text, &path("vg0")).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_damaged_report_panics(cut in 0..ROWS.len(), junk in "\\PC{0,8}") {
            let mut text = ROWS.to_owned();
            text.insert_str(cut, &junk);
            let _ = read(&text, &path("weir--fast"));
        }
    }
}
