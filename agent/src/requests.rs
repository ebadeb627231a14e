//! What is asked for: one YAML or JSON file per object in a directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use weir_api::names::{ObjectName, VolumeId};
use weir_api::object::Object;
use weir_api::parse::{Request, parse, peek};
use weir_api::pool::StoragePool;
use weir_api::volume::Volume;

use crate::cluster::ClusterId;
use crate::durable::Fs;

/// Every request, from files or from a cluster's API. An object that is not in it is not asked for, which is
/// no order to remove it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requests {
    /// Pools, of other nodes too.
    pub pools: BTreeMap<ObjectName, StoragePool>,
    /// Volumes.
    pub volumes: BTreeMap<ObjectName, Volume>,
    /// Tombstones by name, of pools of this node, as far as they order anything still.
    pub tombstones: BTreeMap<ObjectName, Burial>,
    /// Files that are no request.
    pub invalid: Vec<Invalid>,
    /// Why not all of them are known: whatever is not among them may be asked for all the same, and is no
    /// orphan.
    pub unreadable: Option<String>,
    /// The volumes that were there once, as the statuses of their objects say.
    pub made: BTreeSet<VolumeId>,
    /// The cluster whose API they are from.
    pub cluster: Option<ClusterId>,
    /// Why they are not heeded: they are another cluster's. [`Requests::unreadable`] says so too then.
    pub foreign: Option<String>,
}

/// The order to destroy what a pool holds of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Burial {
    /// The volume's id.
    pub id: VolumeId,
    /// The pool.
    pub pool: ObjectName,
    /// An object in that pool which is not being deleted, and has this id or none that can be read: nothing is
    /// destroyed while there is one.
    pub claimed_by: Option<String>,
}

/// A file, or an object of the API, that is no request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Its name; of an object, kind and name as its status file has them.
    pub file: String,
    /// Kind and name of the object it is about, if that could be read.
    pub object: Option<(String, ObjectName)>,
    /// Of a volume's object in the API, which volume it is about, if that could be read.
    pub id: Option<VolumeId>,
    /// What is wrong with it; names the field.
    pub error: String,
}

impl Requests {
    /// Reads every `*.yaml`, `*.yml` and `*.json` file in `dir`. `is_steady` is asked of each file
    /// once it was read: whether that was all of it.
    #[must_use]
    pub fn read(fs: &dyn Fs, dir: &Path, is_steady: &dyn Fn(&str) -> bool) -> Self {
        let mut requests = Requests::default();
        let names = match fs.list(dir) {
            Ok(names) => names,
            Err(error) => {
                requests.unreadable = Some(format!("`{}`: {error}", dir.display()));
                return requests;
            }
        };
        let mut parsed = Vec::new();
        for file in names.into_iter().filter(|name| is_request(name)) {
            let bytes = match fs.read(&dir.join(&file)) {
                Ok(bytes) => bytes,
                // Gone since the directory was listed.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    let error = error.to_string();
                    requests.invalid.push(Invalid {
                        file,
                        object: None,
                        id: None,
                        error,
                    });
                    continue;
                }
            };
            if !is_steady(&file) {
                let error = "it is being written; it will be read again".to_owned();
                let object = std::str::from_utf8(&bytes).ok().and_then(peek);
                requests.invalid.push(Invalid {
                    file,
                    object,
                    id: None,
                    error,
                });
                continue;
            }
            match std::str::from_utf8(&bytes) {
                Err(_) => {
                    let error = "not UTF-8".to_owned();
                    requests.invalid.push(Invalid {
                        file,
                        object: None,
                        id: None,
                        error,
                    });
                }
                Ok(text) => match parse(text) {
                    Ok(request) => parsed.push((file, request)),
                    Err(error) => requests.invalid.push(Invalid {
                        file,
                        object: peek(text),
                        id: None,
                        error: error.to_string(),
                    }),
                },
            }
        }
        requests.take(parsed);
        requests
    }

    /// Of two files that name the same object neither is right: which is meant, nobody can say.
    fn take(&mut self, parsed: Vec<(String, Request)>) {
        let mut files: BTreeMap<(String, ObjectName), Vec<(String, Request)>> = BTreeMap::new();
        for (file, request) in parsed {
            let key = match &request {
                Request::Pool(pool) => key(pool),
                Request::Volume(volume) => key(volume),
            };
            files.entry(key).or_default().push((file, request));
        }
        for (object, mut same) in files {
            if same.len() == 1 {
                match same.swap_remove(0).1 {
                    Request::Pool(pool) => self.pools.insert(object.1, pool).map(drop),
                    Request::Volume(volume) => self.volumes.insert(object.1, volume).map(drop),
                };
                continue;
            }
            let names: Vec<&str> = same.iter().map(|(file, _)| file.as_str()).collect();
            let error = format!(
                "metadata.name: given in several files: {}",
                names.join(", ")
            );
            for (file, _) in &same {
                let (file, object) = (file.clone(), Some(object.clone()));
                self.invalid.push(Invalid {
                    file,
                    object,
                    id: None,
                    error: error.clone(),
                });
            }
        }
    }

    /// Whether a tombstone names what a pool holds of a volume, whatever comes of it.
    #[must_use]
    pub fn has_tombstone(&self, id: VolumeId, pool: &ObjectName) -> bool {
        let mut tombstones = self.tombstones.values();
        tombstones.any(|burial| burial.id == id && burial.pool == *pool)
    }

    /// The invalid file that is about an object, if there is one.
    #[must_use]
    pub fn invalid_for(&self, kind: &str, name: &ObjectName) -> Option<&Invalid> {
        let about = |invalid: &&Invalid| {
            invalid
                .object
                .as_ref()
                .is_some_and(|(k, n)| k == kind && n == name)
        };
        self.invalid.iter().find(about)
    }
}

/// Whether a file of this name is read. Editors' and copiers' own files are not.
#[must_use]
pub fn is_request(file: &str) -> bool {
    let extensions = [".yaml", ".yml", ".json"];
    !file.starts_with('.') && extensions.iter().any(|extension| file.ends_with(extension))
}

fn key<S, T>(object: &Object<S, T>) -> (String, ObjectName) {
    (object.kind.clone(), object.metadata.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::fake::MemFs;

    const VOLUME: &str = "{apiVersion: weir.dev/v1alpha1, kind: Volume, metadata: {name: a}, spec: \
                          {id: 7f2c8d6e-3c0b-4c8e-9d1a-2b8f6a1e5d90, capacityBytes: 1, poolName: p}}";

    fn read(files: &[(&str, &str)]) -> Requests {
        let fs = MemFs::default();
        for (name, text) in files {
            fs.put(&Path::new("/requests").join(name), text.as_bytes());
        }
        Requests::read(&fs, Path::new("/requests"), &|_| true)
    }

    #[test]
    fn requests_are_read_and_other_files_left_alone() {
        let requests = read(&[
            ("a.yaml", VOLUME),
            ("b.yaml~", "x"),
            (".c.yaml", "x"),
            ("README", ""),
        ]);
        assert_eq!(requests.volumes.len(), 1);
        assert!(requests.invalid.is_empty());
    }

    #[test]
    fn an_invalid_file_is_named_with_its_field_and_its_object() {
        let requests = read(&[("a.yaml", &VOLUME.replace("Bytes: 1", "Bytes: x"))]);
        let invalid = requests
            .invalid_for("Volume", &"a".parse().unwrap())
            .unwrap();
        assert_eq!(invalid.file, "a.yaml");
        assert!(
            invalid.error.contains("spec.capacityBytes"),
            "{}",
            invalid.error
        );
    }

    #[test]
    fn two_files_for_one_object_are_both_refused() {
        let requests = read(&[("a.yaml", VOLUME), ("b.json", VOLUME)]);
        assert!(requests.volumes.is_empty());
        assert_eq!(requests.invalid.len(), 2);
        assert!(requests.invalid[0].error.contains("a.yaml, b.json"));
    }
}
