//! Names, labels and what else may stand in metadata, with the words that refuse the rest.

/// The longest name of an object.
const LONGEST_SUBDOMAIN: usize = 253;

/// The longest label of a domain name, part of a qualified name, or value of a label.
const LONGEST_LABEL: usize = 63;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
     characters, '-' or '.', and must start and end with an alphanumeric character (e.g. \
     'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters \
     or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
     regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and \
     must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or \
     '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
     characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
     'MyValue',  or 'my_value',  or '12345', regex used for validation is \
     '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

const QUALIFIED: &str = "a qualified name must consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  \
     or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with \
     an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";

fn is_label(text: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(inside) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    ends(bytes.first())
        && ends(bytes.last())
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn too_long(longest: usize) -> String {
    format!("must be no more than {longest} bytes")
}

/// Why a text is no name of an object, if it isn't.
pub(crate) fn subdomain(text: &str) -> Vec<String> {
    let mut why = Vec::new();
    if text.len() > LONGEST_SUBDOMAIN {
        why.push(too_long(LONGEST_SUBDOMAIN));
    }
    if !text.split('.').all(is_label) {
        why.push(SUBDOMAIN.to_owned());
    }
    why
}

/// Why a text is no name of a namespace, if it isn't.
pub(crate) fn label(text: &str) -> Vec<String> {
    let mut why = Vec::new();
    if text.len() > LONGEST_LABEL {
        why.push(too_long(LONGEST_LABEL));
    }
    if !is_label(text) {
        why.push(LABEL.to_owned());
    }
    why
}

/// Why a text is no key of a label or annotation, and no finalizer, if it isn't.
pub(crate) fn qualified(text: &str) -> Vec<String> {
    let mut why = Vec::new();
    let name = match text.split_once('/') {
        None => text,
        Some((_, rest)) if rest.contains('/') => return vec![QUALIFIED.to_owned()],
        Some(("", name)) => {
            why.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            why.extend(
                subdomain(prefix)
                    .into_iter()
                    .map(|w| format!("prefix part {w}")),
            );
            name
        }
    };
    if name.is_empty() {
        why.push("name part must be non-empty".to_owned());
    } else if name.len() > LONGEST_LABEL {
        why.push(format!("name part {}", too_long(LONGEST_LABEL)));
    }
    if !is_name_part(name) {
        why.push(NAME_PART.to_owned());
    }
    why
}

/// Why a text is no value of a label, if it isn't.
pub(crate) fn label_value(text: &str) -> Vec<String> {
    let mut why = Vec::new();
    if text.len() > LONGEST_LABEL {
        why.push(too_long(LONGEST_LABEL));
    }
    if !text.is_empty() && !is_name_part(text) {
        why.push(LABEL_VALUE.to_owned());
    }
    why
}

/// A name made from its beginning, as `generateName` asks for it.
pub(crate) fn generated(prefix: &str) -> String {
    // No vowels, and nothing that reads like something else.
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    const RANDOM: usize = 5;
    const LONGEST_PREFIX: usize = LONGEST_LABEL - RANDOM;
    let mut name = prefix.to_owned();
    while name.len() > LONGEST_PREFIX {
        name.pop();
    }
    for _ in 0..RANDOM {
        name.push(char::from(LETTERS[fastrand::usize(..LETTERS.len())]));
    }
    name
}
