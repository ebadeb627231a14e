//! What volumes are called: the name of an object after the name of a request, and the handle that requests have from then on.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use uuid::Uuid;
use weir_api::names::{ObjectName, VolumeId};

use crate::failure::Failure;

/// The longest name of a request that is taken. The interface says 128 bytes, of which nobody can be sure.
const LONGEST: usize = 1024;
/// What a name begins with that was made of a hash.
const HASHED: &str = "csi-";
/// Hexadecimal digits of it: 160 bits.
const DIGITS: usize = 40;

/// The name of the object that a request's volume is: its own name where that is a DNS label, and otherwise a hash of it. The
/// same for the same request, so that a retry finds what the first attempt made; another for every other one.
///
/// # Errors
/// There is no name, or a monstrous one.
pub fn object_name(request: &str) -> Result<ObjectName, Failure> {
    if request.is_empty() || request.len() > LONGEST {
        let message = format!(
            "name: 1 to {LONGEST} bytes are wanted, not {}",
            request.len()
        );
        return Err(Failure::Invalid(message));
    }
    // A label that looks like a hash is hashed too: it could be that of another name.
    match request.parse() {
        Ok(name) if !looks_hashed(request) => Ok(name),
        _ => {
            let hash = Sha256::digest(request.as_bytes());
            let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            let name = format!("{HASHED}{}", &hex[..DIGITS]);
            name.parse::<ObjectName>()
                .map_err(|error| Failure::Internal(format!("{error}")))
        }
    }
}

fn looks_hashed(name: &str) -> bool {
    name.strip_prefix(HASHED).is_some_and(|rest| {
        rest.len() == DIGITS && rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// A volume as Kubernetes knows it: `NAME.ID`. A name alone could be that of another volume by now, and what is deleted has to be
/// named by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle {
    /// Of its object.
    pub name: ObjectName,
    /// Its identity.
    pub id: VolumeId,
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.id)
    }
}

impl Handle {
    /// The handle that a request has; none: nothing of ours was ever called so.
    ///
    /// # Errors
    /// There is none.
    pub fn of(id: &str) -> Result<Option<Self>, Failure> {
        match id {
            "" => Err(Failure::Invalid("volume_id is missing".to_owned())),
            id => Ok(id.parse().ok()),
        }
    }

    /// The handle of a volume that has to be there.
    ///
    /// # Errors
    /// There is none, or it is nobody's.
    pub fn known(id: &str) -> Result<Self, Failure> {
        Self::of(id)?.ok_or_else(|| nobodys(id))
    }
}

/// That there is no such volume.
#[must_use]
pub fn nobodys(id: &str) -> Failure {
    Failure::NotFound(format!(
        "there is no volume `{id}`; they are called NAME.ID"
    ))
}

/// It is no volume's handle, and so there is no such volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nobodys;

impl FromStr for Handle {
    type Err = Nobodys;
    fn from_str(text: &str) -> Result<Self, Nobodys> {
        let (name, id) = text.split_once('.').ok_or(Nobodys)?;
        let name = name.parse().map_err(|_| Nobodys)?;
        let id = Uuid::try_parse(id).map(VolumeId).map_err(|_| Nobodys)?;
        let handle = Handle { name, id };
        // One spelling for each.
        match handle.to_string() == text {
            true => Ok(handle),
            false => Err(Nobodys),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_label_is_kept_and_anything_else_is_hashed() {
        let name = |request: &str| object_name(request).unwrap().to_string();
        let claim = "pvc-7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90";
        assert_eq!(name(claim), claim);
        for other in ["Data", "a.b", "ä", "a/b", "-a", &"x".repeat(64), " "] {
            let hashed = name(other);
            assert!(looks_hashed(&hashed), "{other}: {hashed}");
            assert_eq!(name(other), hashed);
        }
        for bad in ["", &"x".repeat(1025)] {
            assert!(object_name(bad).is_err(), "{}", bad.len());
        }
    }

    /// Seen red with: `looks_hashed` always false.
    #[test]
    fn a_name_that_looks_like_a_hash_is_not_the_hashed_ones() {
        let hashed = object_name("A").unwrap();
        assert_ne!(object_name(hashed.as_str()).unwrap(), hashed);
    }

    #[test]
    fn a_handle_has_one_spelling() {
        let text = "pg-data.7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90";
        assert_eq!(text.parse::<Handle>().unwrap().to_string(), text);
        for bad in [
            "",
            "pg-data",
            "reallyfakevolumeid",
            "pg-data.",
            ".7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
            "pg-data.7F2C8D6E-3C0B-4C8E-9D1A-2B8F6A1E5D90",
            "pg-data.7f2c8d6e3c0b4c8e9d1a2b8f6a1e5d90",
            "pg-data.7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90.x",
            "../x.7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90",
        ] {
            assert_eq!(bad.parse::<Handle>(), Err(Nobodys), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_name_gives_an_object_and_two_names_give_two(a in "\\PC{1,80}", b in "\\PC{1,80}") {
            let (one, other) = (object_name(&a).unwrap(), object_name(&b).unwrap());
            prop_assert_eq!(one == other, a == b);
        }
    }
}
