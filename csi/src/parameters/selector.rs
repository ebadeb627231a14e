//! Labels that nodes or pools must have, as one line: `disk=nvme, zone=a|b, tier!=slow, ssd, !old`.

use weir_api::crd::{Affinity, Operator, Requirement};

/// The most parts; the objects have no room for more.
const MOST: usize = 16;

pub(super) fn parse(text: &str) -> Result<Affinity, String> {
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.len() > MOST {
        return Err(format!("{MOST} parts at most are wanted"));
    }
    let required = parts
        .into_iter()
        .map(requirement)
        .collect::<Result<_, _>>()?;
    Ok(Affinity {
        required,
        ..Affinity::default()
    })
}

fn requirement(part: &str) -> Result<Requirement, String> {
    let (key, operator, values) = if let Some(key) = part.strip_prefix('!') {
        (key, Operator::DoesNotExist, None)
    } else if let Some((key, values)) = part.split_once("!=") {
        (key, Operator::NotIn, Some(values))
    } else if let Some((key, values)) = part.split_once('=') {
        (key, Operator::In, Some(values))
    } else {
        (part, Operator::Exists, None)
    };
    if !is_key(key) {
        return Err(format!("`{key}` is no label's key"));
    }
    let values: Vec<String> = values.map_or(Vec::new(), |values| {
        values.split('|').map(str::to_owned).collect()
    });
    if let Some(bad) = values
        .iter()
        .find(|value| value.is_empty() || !is_word(value))
    {
        return Err(format!("`{bad}` is no label's value"));
    }
    Ok(Requirement {
        key: key.to_owned(),
        operator,
        values,
    })
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => {
            prefix.parse::<weir_api::names::NodeName>().is_ok() && is_word(name) && !name.is_empty()
        }
        None => !key.is_empty() && is_word(key),
    }
}

/// As Kubernetes has names and values of labels.
fn is_word(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let ends = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(inner)
        && ends(text.chars().next())
        && ends(text.chars().last())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_labels_must_be() {
        let parsed = parse("disk=nvme, example.com/zone=a|b,tier!=slow, ssd,!old").unwrap();
        let told: Vec<(&str, Operator, usize)> = parsed
            .required
            .iter()
            .map(|one| (one.key.as_str(), one.operator, one.values.len()))
            .collect();
        assert_eq!(
            told,
            [
                ("disk", Operator::In, 1),
                ("example.com/zone", Operator::In, 2),
                ("tier", Operator::NotIn, 1),
                ("ssd", Operator::Exists, 0),
                ("old", Operator::DoesNotExist, 0),
            ]
        );
        for bad in [
            "",
            ",",
            "=a",
            "a=",
            "a=b c",
            "a=b|",
            "/a",
            "a b",
            "A.com/",
            "-a",
            "a=-",
            "a==b",
            "a in (b)",
            &"a,".repeat(17),
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
