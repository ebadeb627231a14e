//! Reading objects, with errors that say what to do.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use kube::api::{ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

use crate::connect::Connection;

/// How long one request may take. A page of a list is a matter of milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many objects are one page of a list.
const PAGE: u32 = 500;

/// Something was not read or written.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    /// There is no such object.
    #[error("there is no {kind} `{name}`: `kubectl get {plural}` lists those that there are")]
    NoObject {
        /// What it would be.
        kind: String,
        /// How many of them are called.
        plural: String,
        /// Its name.
        name: String,
    },
    /// The API does not serve objects of that kind.
    #[error(
        "the API at {place} serves no {plural}: it is another one than Weir's, or has not got Weir's definitions \
         (kubectl apply -f deploy/crds)"
    )]
    NotServed {
        /// The API.
        place: String,
        /// What was asked for.
        plural: String,
    },
    /// The API does not let us.
    #[error(
        "not allowed to {doing}: {message}. Take another kubeconfig, or have this one's identity be given the right"
    )]
    Forbidden {
        /// What.
        doing: String,
        /// What the API says.
        message: String,
    },
    /// The API said no.
    #[error("cannot {doing}: {message}")]
    Refused {
        /// What.
        doing: String,
        /// What the API says.
        message: String,
    },
    /// The API did not answer.
    #[error("cannot {doing}: no answer from the API at {place} in {} s", PATIENCE.as_secs())]
    Late {
        /// What.
        doing: String,
        /// The API.
        place: String,
    },
    /// The API is not reached.
    #[error(
        "cannot {doing}: the API at {place} is not reached: {cause}. See whether it runs, and whether this address is right"
    )]
    Unreachable {
        /// What.
        doing: String,
        /// The API.
        place: String,
        /// Why.
        cause: String,
    },
    /// Its answer is not what it should be.
    #[error("cannot {doing}: the answer of the API at {place} can't be read: {cause}")]
    Unreadable {
        /// What.
        doing: String,
        /// The API.
        place: String,
        /// Why.
        cause: String,
    },
}

impl Connection {
    /// The cluster's objects of a kind.
    pub(crate) fn all<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    /// A namespace's objects of a kind.
    pub(crate) fn within<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Every object of a list, a page at a time, so that a large cluster's need not be held at once.
    pub(crate) async fn each<K>(
        &self,
        api: &Api<K>,
        fields: &str,
        mut see: impl FnMut(Vec<K>),
    ) -> Result<(), FetchError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let plural = K::plural(&());
        let mut params = ListParams::default().limit(PAGE);
        if !fields.is_empty() {
            params = params.fields(fields);
        }
        loop {
            let page = self
                .answered(&format!("list {plural}"), api.list(&params))
                .await;
            let page = match page {
                Err(Answer::NotFound(_)) => {
                    return Err(FetchError::NotServed {
                        place: self.place.clone(),
                        plural: plural.into_owned(),
                    });
                }
                page => page.map_err(Answer::into_error)?,
            };
            let next = page.metadata.continue_.filter(|token| !token.is_empty());
            see(page.items);
            match next {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    /// A whole list.
    pub(crate) async fn list<K>(&self, api: &Api<K>, fields: &str) -> Result<Vec<K>, FetchError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let mut all = Vec::new();
        self.each(api, fields, |page| all.extend(page)).await?;
        Ok(all)
    }

    /// One object, if it is there.
    pub(crate) async fn get<K>(&self, api: &Api<K>, name: &str) -> Result<Option<K>, FetchError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let doing = format!("read {} `{name}`", K::kind(&()));
        match self.answered(&doing, api.get(name)).await {
            Ok(object) => Ok(Some(object)),
            Err(Answer::NotFound(_)) => Ok(None),
            Err(Answer::Other(error)) => Err(error),
        }
    }

    /// One object that has to be there.
    pub(crate) async fn need<K>(&self, api: &Api<K>, name: &str) -> Result<K, FetchError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let found = self.get(api, name).await?;
        found.ok_or_else(|| FetchError::NoObject {
            kind: K::kind(&()).into_owned(),
            plural: K::plural(&()).into_owned(),
            name: name.to_owned(),
        })
    }

    /// Merges something into an object.
    pub(crate) async fn merge<K>(
        &self,
        api: &Api<K>,
        name: &str,
        body: &Value,
    ) -> Result<(), FetchError>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let doing = format!("change {} `{name}`", K::kind(&()));
        let (how, patch) = (PatchParams::default(), Patch::Merge(body));
        let done = self.answered(&doing, api.patch(name, &how, &patch)).await;
        done.map(drop).map_err(Answer::into_error)
    }

    async fn answered<T>(
        &self,
        doing: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Answer> {
        let (doing, place) = (doing.to_owned(), self.place.clone());
        let Ok(answer) = tokio::time::timeout(PATIENCE, request).await else {
            return Err(Answer::Other(FetchError::Late { doing, place }));
        };
        answer.map_err(|error| match error {
            kube::Error::Api(status) => {
                let (code, message) = (status.code, status.message.clone());
                match code {
                    404 => Answer::NotFound(FetchError::Refused { doing, message }),
                    401 | 403 => Answer::Other(FetchError::Forbidden { doing, message }),
                    _ => Answer::Other(FetchError::Refused { doing, message }),
                }
            }
            kube::Error::SerdeError(error) => {
                let cause = error.to_string();
                Answer::Other(FetchError::Unreadable {
                    doing,
                    place,
                    cause,
                })
            }
            error => {
                let cause = innermost(&error);
                Answer::Other(FetchError::Unreachable {
                    doing,
                    place,
                    cause,
                })
            }
        })
    }
}

/// How a request ended that did not succeed.
enum Answer {
    /// There is no such object, or no such kind of objects.
    NotFound(FetchError),
    Other(FetchError),
}

impl Answer {
    fn into_error(self) -> FetchError {
        match self {
            Answer::NotFound(error) | Answer::Other(error) => error,
        }
    }
}

/// What an error began with: those around it repeat it, or say less.
fn innermost(error: &dyn Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
