//! Which fields of the built-in kinds are lists merged by key, sets, or atomic: the part of the `OpenAPI` schema that
//! strategic merge and server-side apply need. A field that is not named here is a struct or map merged key by key
//! when it holds an object, and atomic when it holds a list.

use serde_json::Value;

/// How two versions of one field are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Struct or map: field by field.
    Granular(Schema),
    /// One value to server-side apply, whatever is inside. Strategic merge still merges objects of this shape.
    Atomic,
    /// List of objects told apart by `keys`; strategic merge uses the first key only.
    Keyed {
        /// Names of the fields that identify an item.
        keys: &'static [&'static str],
        /// What an item looks like; `None` when server-side apply takes the item as one value.
        item: Option<Schema>,
    },
    /// List of distinct scalars.
    Set,
}

/// The type an object or a part of it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Anything without a rule of its own, custom resources too.
    Untyped,
    /// A whole object whose kind has no rules beyond metadata and status.
    Object,
    /// Deployment, `StatefulSet`, `DaemonSet`, `ReplicaSet`, Job.
    Workload,
    /// Their `spec`.
    WorkloadSpec,
    /// A `CronJob`.
    CronJob,
    /// Its `spec`.
    CronJobSpec,
    /// Its `spec.jobTemplate`.
    JobTemplate,
    /// A Pod, or the pod template of a workload.
    Pod,
    /// Its `spec`.
    PodSpec,
    /// A container of whatever sort.
    Container,
    /// An entry of `env`.
    EnvironmentVariable,
    /// Its `valueFrom`.
    EnvironmentSource,
    /// A container's `resources`.
    Resources,
    /// A Service.
    Service,
    /// Its `spec`.
    ServiceSpec,
    /// A `ServiceAccount`.
    ServiceAccount,
    /// An admission webhook configuration.
    WebhookConfiguration,
    /// `metadata`.
    Metadata,
    /// `status`.
    Status,
}

impl Schema {
    /// The schema of a kind. Kinds of groups the API server does not define itself have no merge keys.
    pub fn for_kind(api_version: &str, kind: &str) -> Self {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        match (group, kind) {
            ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
            | ("batch", "Job")
            | ("", "ReplicationController") => Self::Workload,
            ("batch", "CronJob") => Self::CronJob,
            ("", "Pod") => Self::Pod,
            ("", "Service") => Self::Service,
            ("", "ServiceAccount") => Self::ServiceAccount,
            ("admissionregistration.k8s.io", _) => Self::WebhookConfiguration,
            _ => Self::Object,
        }
    }

    /// The schema of the object, by its `apiVersion` and `kind`.
    pub fn of(object: &Value) -> Self {
        let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
        Self::for_kind(text("apiVersion"), text("kind"))
    }

    /// How the field `name` of this type is merged.
    pub fn field(self, name: &str) -> Shape {
        match self {
            Self::Untyped => Shape::Granular(Self::Untyped),
            Self::Metadata => metadata_field(name),
            Self::Status => status_field(name),
            Self::WorkloadSpec => workload_field(name),
            Self::CronJobSpec => match name {
                "jobTemplate" => Shape::Granular(Self::JobTemplate),
                _ => Shape::Granular(Self::Untyped),
            },
            Self::PodSpec => pod_field(name),
            Self::Container => container_field(name),
            Self::EnvironmentVariable => match name {
                "valueFrom" => Shape::Granular(Self::EnvironmentSource),
                _ => Shape::Granular(Self::Untyped),
            },
            Self::EnvironmentSource => Shape::Atomic,
            Self::Resources => match name {
                "claims" => keyed(&["name"], Self::Untyped),
                _ => Shape::Granular(Self::Untyped),
            },
            Self::ServiceSpec => match name {
                "ports" => keyed(&["port", "protocol"], Self::Untyped),
                "selector" => Shape::Atomic,
                _ => Shape::Granular(Self::Untyped),
            },
            Self::Object
            | Self::Workload
            | Self::CronJob
            | Self::JobTemplate
            | Self::Pod
            | Self::Service
            | Self::ServiceAccount
            | Self::WebhookConfiguration => self.top_level_field(name),
        }
    }

    fn top_level_field(self, name: &str) -> Shape {
        match (self, name) {
            (_, "metadata") => Shape::Granular(Self::Metadata),
            (_, "status") => Shape::Granular(Self::Status),
            (Self::Workload | Self::JobTemplate, "spec") => Shape::Granular(Self::WorkloadSpec),
            (Self::CronJob, "spec") => Shape::Granular(Self::CronJobSpec),
            (Self::Pod, "spec") => Shape::Granular(Self::PodSpec),
            (Self::Service, "spec") => Shape::Granular(Self::ServiceSpec),
            (Self::ServiceAccount, "secrets") | (Self::WebhookConfiguration, "webhooks") => {
                keyed(&["name"], Self::Untyped)
            }
            _ => Shape::Granular(Self::Untyped),
        }
    }
}

const fn keyed(keys: &'static [&'static str], item: Schema) -> Shape {
    Shape::Keyed {
        keys,
        item: Some(item),
    }
}

fn metadata_field(name: &str) -> Shape {
    match name {
        "finalizers" => Shape::Set,
        "ownerReferences" => Shape::Keyed {
            keys: &["uid"],
            item: None,
        },
        _ => Shape::Granular(Schema::Untyped),
    }
}

fn status_field(name: &str) -> Shape {
    match name {
        "conditions" | "addresses" => keyed(&["type"], Schema::Untyped),
        "podIPs" | "hostIPs" => keyed(&["ip"], Schema::Untyped),
        _ => Shape::Granular(Schema::Untyped),
    }
}

fn workload_field(name: &str) -> Shape {
    match name {
        "template" => Shape::Granular(Schema::Pod),
        "selector" => Shape::Atomic,
        _ => Shape::Granular(Schema::Untyped),
    }
}

fn pod_field(name: &str) -> Shape {
    match name {
        "containers" | "initContainers" | "ephemeralContainers" => keyed(&["name"], Schema::Container),
        "volumes" | "imagePullSecrets" | "resourceClaims" | "schedulingGates" => {
            keyed(&["name"], Schema::Untyped)
        }
        "hostAliases" => keyed(&["ip"], Schema::Untyped),
        "topologySpreadConstraints" => keyed(&["topologyKey", "whenUnsatisfiable"], Schema::Untyped),
        "nodeSelector" => Shape::Atomic,
        _ => Shape::Granular(Schema::Untyped),
    }
}

fn container_field(name: &str) -> Shape {
    match name {
        "env" => keyed(&["name"], Schema::EnvironmentVariable),
        "ports" => keyed(&["containerPort", "protocol"], Schema::Untyped),
        "volumeMounts" => keyed(&["mountPath"], Schema::Untyped),
        "volumeDevices" => keyed(&["devicePath"], Schema::Untyped),
        "resources" => Shape::Granular(Schema::Resources),
        _ => Shape::Granular(Schema::Untyped),
    }
}

/// The value a key field has when an item leaves it out.
pub fn key_default(key: &str) -> Option<Value> {
    (key == "protocol").then(|| Value::from("TCP"))
}
