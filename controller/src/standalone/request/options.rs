//! What the query of a list, a watch or a write says.

use std::time::Duration;

use serde_json::{Value, json};

use super::query::Query;
use crate::standalone::error::{ApiError, Cause};
use crate::standalone::resource::Resource;
use crate::standalone::selector::{FieldSelector, LabelSelector};
use crate::standalone::write::FieldValidation;

/// How exactly a list has to be of the revision that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Of that one.
    Exact,
    /// Of that one or a later one.
    NotOlderThan,
}

/// Options of a list or a watch.
#[derive(Clone)]
pub struct ListOptions {
    /// What the labels must be.
    pub labels: LabelSelector,
    /// What the fields must be.
    pub fields: FieldSelector,
    /// Whether anything is selected at all.
    pub is_selective: bool,
    /// At most so many items.
    pub limit: Option<usize>,
    /// Where the page before ended, as that page said.
    pub continue_from: Option<String>,
    /// The revision asked for; 0: any.
    pub revision: Option<u64>,
    /// How exactly it has to be that one.
    pub revision_match: Option<Match>,
    /// A watch instead of a list.
    pub is_watch: bool,
    /// When a watch has to end.
    pub timeout: Option<Duration>,
    /// Whether a watch may be told how far it is.
    pub bookmarks: bool,
    /// Whether a watch begins with what there is.
    pub initial_events: Option<bool>,
}

impl ListOptions {
    /// Reads them.
    ///
    /// # Errors
    /// A value that a real API server refuses too.
    pub fn parse(query: &Query, resource: &Resource) -> Result<Self, ApiError> {
        let text = |key| query.get(key).unwrap_or_default();
        let limit = integer(query, "limit")?.and_then(|limit| usize::try_from(limit).ok());
        let timeout = integer(query, "timeoutSeconds")?.and_then(|t| u64::try_from(t).ok());
        let is_watch = query.flag("watch");
        let initial_events = query
            .all("sendInitialEvents")
            .next()
            .map(|_| query.flag("sendInitialEvents"));
        Self::check(query, is_watch, initial_events.is_some())?;
        let revision_match = query.get("resourceVersionMatch").map(|text| match text {
            "Exact" => Match::Exact,
            _ => Match::NotOlderThan,
        });
        Ok(Self {
            labels: LabelSelector::parse(text("labelSelector"))?,
            fields: FieldSelector::parse(text("fieldSelector"), resource)?,
            is_selective: ["labelSelector", "fieldSelector"]
                .iter()
                .any(|key| query.get(key).is_some()),
            limit: limit.filter(|limit| *limit > 0),
            continue_from: query.get("continue").map(str::to_owned),
            revision: revision(query)?,
            revision_match,
            is_watch,
            timeout: timeout.filter(|t| *t > 0).map(Duration::from_secs),
            bookmarks: query.flag("allowWatchBookmarks"),
            initial_events,
        })
    }

    fn check(query: &Query, is_watch: bool, has_initial: bool) -> Result<(), ApiError> {
        const FIELD: &str = "resourceVersionMatch";
        let wanted = query.get(FIELD);
        let mut causes = Vec::new();
        let mut forbid = |field: &str, why: &str| causes.push(Cause::forbidden(field, why));
        if is_watch {
            match (has_initial, wanted) {
                (true, Some("NotOlderThan")) | (false, None) => {}
                (true, _) => forbid(
                    FIELD,
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ),
                (false, Some(_)) => forbid(
                    FIELD,
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ),
            }
        } else if wanted.is_some() {
            if query.get("resourceVersion").is_none() {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                forbid(FIELD, why);
            }
            if query.get("continue").is_some() {
                forbid(
                    FIELD,
                    "resourceVersionMatch is forbidden when continue is provided",
                );
            }
            if (wanted, query.get("resourceVersion")) == (Some("Exact"), Some("0")) {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                forbid(FIELD, why);
            }
        }
        if !is_watch && has_initial {
            forbid(
                "sendInitialEvents",
                "sendInitialEvents is forbidden for list",
            );
        }
        if let Some(other) = wanted.filter(|text| !["Exact", "NotOlderThan"].contains(text)) {
            let supported = ["Exact", "NotOlderThan", ""].map(str::to_owned);
            causes.push(Cause::not_supported(FIELD, &json!(other), &supported));
        }
        if causes.is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", causes))
        }
    }
}

/// The revision that a query asks for; 0: any.
///
/// # Errors
/// It is not a number.
pub fn revision(query: &Query) -> Result<Option<u64>, ApiError> {
    let Some(text) = query.get("resourceVersion") else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        ApiError::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing \
             {text:?}: invalid syntax"
        ))
    })
}

fn integer(query: &Query, key: &str) -> Result<Option<i64>, ApiError> {
    let Some(text) = query.get(key) else {
        return Ok(None);
    };
    let message = || format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
    text.parse()
        .map(Some)
        .map_err(|_| ApiError::bad_request(message()))
}

/// Options of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// Everything but the writing.
    pub is_dry_run: bool,
    /// What becomes of fields that nobody knows.
    pub validation: FieldValidation,
}

impl WriteOptions {
    /// Reads them; `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    ///
    /// # Errors
    /// A value that a real API server refuses too.
    pub fn parse(query: &Query, kind: &str) -> Result<Self, ApiError> {
        let refuse = |cause| ApiError::invalid("meta.k8s.io", kind, "", vec![cause]);
        let is_dry_run = dry_run(query.all("dryRun")).map_err(refuse)?;
        let validation = query.get("fieldValidation").unwrap_or_default();
        let validation = FieldValidation::parse(validation, kind)?;
        if let Some(manager) = query.get("fieldManager") {
            if manager.len() > 128 {
                return Err(refuse(Cause::too_long("fieldManager", 128)));
            }
            if manager.contains(char::is_control) {
                let why = "should only contain printable characters";
                return Err(refuse(Cause::invalid("fieldManager", &json!(manager), why)));
            }
        }
        if kind == "PatchOptions" && query.get("force").is_some() {
            let why = "may not be specified for non-apply patch";
            return Err(refuse(Cause::forbidden("force", why)));
        }
        Ok(Self {
            is_dry_run,
            validation,
        })
    }
}

/// Whether these values of `dryRun` ask for one.
///
/// # Errors
/// One of them is something else.
pub fn dry_run<'a>(values: impl Iterator<Item = &'a str>) -> Result<bool, Cause> {
    let values: Vec<&str> = values.filter(|value| !value.is_empty()).collect();
    if values.iter().any(|value| *value != "All") {
        let supported = ["All".to_owned()];
        let values: Value = values.into();
        return Err(Cause::not_supported("dryRun", &values, &supported));
    }
    Ok(!values.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(query: &str) -> Result<WriteOptions, u16> {
        WriteOptions::parse(&Query::parse(query).unwrap(), "PatchOptions").map_err(|e| e.code)
    }

    #[test]
    fn a_writes_options_are_checked() {
        let of = |is_dry_run, validation| {
            Ok(WriteOptions {
                is_dry_run,
                validation,
            })
        };
        let rows = [
            ("", of(false, FieldValidation::Warn)),
            (
                "dryRun=All&fieldValidation=Strict",
                of(true, FieldValidation::Strict),
            ),
            (
                "dryRun=&fieldValidation=Ignore",
                of(false, FieldValidation::Ignore),
            ),
            ("dryRun=Foo", Err(422)),
            ("dryRun=All&dryRun=Foo", Err(422)),
            ("fieldValidation=Foo", Err(422)),
            ("fieldManager=a%0ab", Err(422)),
            ("force=true", Err(422)),
        ];
        for (query, expected) in rows {
            assert_eq!(write(query), expected, "{query}");
        }
        assert_eq!(
            write(&format!("fieldManager={}", "a".repeat(129))),
            Err(422)
        );
    }

    #[test]
    fn a_lists_options_are_checked() {
        let check = |query: &str| {
            let query = Query::parse(query).unwrap();
            let has_initial = query.get("sendInitialEvents").is_some();
            ListOptions::check(&query, query.flag("watch"), has_initial)
                .err()
                .map(|error| (error.code, error.causes().len()))
        };
        let rows = [
            ("", None),
            ("resourceVersion=1&resourceVersionMatch=Exact", None),
            ("resourceVersionMatch=Exact", Some((422, 1))),
            (
                "resourceVersion=0&resourceVersionMatch=Exact",
                Some((422, 1)),
            ),
            ("resourceVersion=1&resourceVersionMatch=Foo", Some((422, 1))),
            (
                "resourceVersion=1&resourceVersionMatch=Exact&continue=x",
                Some((422, 1)),
            ),
            (
                "sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
                Some((422, 2)),
            ),
            ("watch=1&sendInitialEvents=true", Some((422, 1))),
            ("watch=1&resourceVersionMatch=NotOlderThan", Some((422, 1))),
            (
                "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan",
                None,
            ),
        ];
        for (query, expected) in rows {
            assert_eq!(check(query), expected, "{query}");
        }
    }
}
