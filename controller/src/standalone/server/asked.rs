//! A request about a resource, once it is known who asks for what.

use std::sync::Arc;

use hyper::HeaderMap;
use serde_json::Value;

use super::Api;
use super::present::Presenter;
use crate::standalone::access::{self, Attributes, Condition};
use crate::standalone::error::{ApiError, GroupResource};
use crate::standalone::identity::Identity;
use crate::standalone::request::Verb;
use crate::standalone::request::path::ResourcePath;
use crate::standalone::request::query::Query;
use crate::standalone::resource::Resource;
use crate::standalone::store::{Key, Scope, Stored};
use crate::standalone::write::Part;

/// A request about a resource.
pub(super) struct Asked {
    pub(super) who: Identity,
    /// What must be true of the object that is written.
    pub(super) condition: Option<Condition>,
    pub(super) verb: Verb,
    pub(super) resource: Arc<Resource>,
    pub(super) path: ResourcePath,
    pub(super) query: Query,
    pub(super) headers: HeaderMap,
    pub(super) part: Part,
    pub(super) presenter: Presenter,
    pub(super) now: jiff::Timestamp,
}

impl Asked {
    /// How errors name the resource.
    pub(super) fn of(&self) -> GroupResource {
        self.resource.group_resource()
    }

    /// The object's name; empty if the path names none.
    pub(super) fn name(&self) -> &str {
        self.path.name.as_deref().unwrap_or_default()
    }

    /// The key of an object of this name.
    pub(super) fn key(&self, name: &str) -> Key {
        Key {
            storage: self.resource.storage.clone(),
            namespace: self.path.namespace.clone().unwrap_or_default(),
            name: name.to_owned(),
        }
    }

    /// What a list looks at.
    pub(super) fn scope(&self) -> Scope {
        Scope {
            storage: self.resource.storage.clone(),
            namespace: self.path.namespace.clone(),
        }
    }

    /// Who writes, as it says itself or by the program's name.
    pub(super) fn field_manager(&self) -> &str {
        let agent = self.headers.get(hyper::header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok());
        let agent = agent.and_then(|agent| agent.split('/').next());
        let manager = self.query.get("fieldManager").or(agent);
        manager.filter(|name| !name.is_empty()).unwrap_or("unknown")
    }

    /// The object that the path names.
    ///
    /// # Errors
    /// 404: there is none.
    pub(super) fn find(&self, api: &Api) -> Result<Stored, ApiError> {
        let found = api.store.get(&self.key(self.name()));
        found.ok_or_else(|| ApiError::not_found(&self.of(), self.name()))
    }

    /// Refuses what this identity may not do to this very object.
    ///
    /// # Errors
    /// 403
    pub(super) fn check(&self, api: &Api, object: &Value) -> Result<(), ApiError> {
        let Some(condition) = self.condition else {
            return Ok(());
        };
        let pool = match condition {
            Condition::VolumeOfNode => object
                .pointer("/spec/poolName")
                .and_then(Value::as_str)
                .and_then(|pool| api.pool(pool)),
            _ => None,
        };
        let holds = self
            .who
            .node()
            .is_some_and(|node| condition.holds(node, object, pool.as_ref()));
        if holds {
            return Ok(());
        }
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        Err(self.forbidden(name, Some(condition)))
    }

    /// Refuses what this identity may not make of this very object.
    ///
    /// # Errors
    /// 403
    pub(super) fn check_change(&self, api: &Api, old: &Value, new: &Value) -> Result<(), ApiError> {
        self.check(api, new)?;
        let refused = self.condition.filter(|one| !one.admits(old, new));
        match refused {
            None => Ok(()),
            condition => Err(self.forbidden(Some(self.name()), condition)),
        }
    }

    /// The refusal of the request.
    pub(super) fn forbidden(&self, name: Option<&str>, condition: Option<Condition>) -> ApiError {
        let attributes = Attributes {
            verb: self.verb.as_str(),
            on: access::On::Resource(object(&self.path)),
        };
        let mut message = access::refusal(&self.who, &attributes);
        if let Some(condition) = condition {
            message = format!("{message}: {condition}");
        }
        ApiError::forbidden(&self.of(), name, message)
    }
}

/// A path as access rules look at it.
pub(super) fn object(path: &ResourcePath) -> access::Object<'_> {
    access::Object {
        group: &path.of.group,
        resource: &path.resource,
        subresource: path.subresource.as_deref().unwrap_or_default(),
        namespace: path.namespace.as_deref().unwrap_or_default(),
        name: path.name.as_deref().unwrap_or_default(),
    }
}
