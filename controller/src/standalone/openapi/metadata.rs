//! The schema of every object's metadata: what of it this server knows.

use serde_json::{Value, json};

/// Its name among the schemas.
pub(super) const NAME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The schema.
pub(super) fn schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let time = |description: &str| json!({"type": "string", "format": "date-time", "description": description});
    let number = |description: &str| json!({"type": "integer", "format": "int64", "description": description});
    let map = |description: &str| {
        let values = json!({"type": "string", "default": ""});
        json!({"type": "object", "additionalProperties": values, "description": description})
    };
    let list = |description: &str, items: &Value| json!({"type": "array", "items": items, "description": description});
    let string = json!({"type": "string", "default": ""});
    let owner = json!({
        "type": "object",
        "required": ["apiVersion", "kind", "name", "uid"],
        "properties": {
            "apiVersion": text("API version of the owner."),
            "kind": text("Kind of the owner."),
            "name": text("Name of the owner."),
            "uid": text("UID of the owner."),
            "controller": {"type": "boolean", "description": "Whether the owner is the one that controls it."},
            "blockOwnerDeletion": {"type": "boolean", "description": "Kept and not acted upon."},
        },
    });
    json!({
        "type": "object",
        "description": "What every object has beside its spec and status.",
        "properties": {
            "name": text("Unique among the objects of its kind, in its namespace if there are namespaces. Cannot be changed."),
            "generateName": text("Without a name: what the name that is made begins with."),
            "namespace": text("The namespace it is in. Empty for what is not in one. Cannot be changed."),
            "labels": map("What selectors look at."),
            "annotations": map("What programs note about it."),
            "finalizers": list("It is gone only once this list is empty.", &string),
            "ownerReferences": list("Objects that it depends on; kept and not acted upon.", &owner),
            "uid": text("Unique in time and space. Set by the server."),
            "resourceVersion": text("Which change made it so. A write that names another one is refused."),
            "generation": number("How often its spec changed. Set by the server."),
            "creationTimestamp": time("When it was made. Set by the server."),
            "deletionTimestamp": time("When its deletion was asked for. Set by the server."),
            "deletionGracePeriodSeconds": number("Always 0. Set by the server."),
        },
    })
}
