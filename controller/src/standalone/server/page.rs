//! Where a page of a list ended, as clients carry it about.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::standalone::error::ApiError;

/// A token is as long as two names and some; what is longer is not ours.
const LONGEST: usize = 2_048;

/// Where the page before ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Token {
    /// Of which revision all pages are; `None`: of whichever there is now.
    #[serde(rename = "rv", skip_serializing_if = "Option::is_none", default)]
    pub(super) revision: Option<u64>,
    /// The namespace of its last object.
    #[serde(rename = "ns")]
    pub(super) namespace: String,
    /// The name of its last object.
    pub(super) name: String,
}

impl Token {
    pub(super) fn to_text(&self) -> String {
        // Of numbers and texts: it cannot fail.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// # Errors
    /// 400: it is none of ours.
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let refuse = |why: String| {
            ApiError::bad_request(format!(
                "invalid continue token: continue key is not valid: {why}"
            ))
        };
        if text.len() > LONGEST {
            return Err(refuse("it is too long".to_owned()));
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| refuse(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| refuse(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        for revision in [None, Some(7)] {
            let token = Token {
                revision,
                namespace: "default".to_owned(),
                name: "a".to_owned(),
            };
            assert_eq!(Token::parse(&token.to_text()).unwrap(), token);
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["!!", "e30", "bm8", "eyJydiI6LTF9", &"A".repeat(3_000)] {
            assert_eq!(Token::parse(text).unwrap_err().code, 400, "{text}");
        }
    }
}
