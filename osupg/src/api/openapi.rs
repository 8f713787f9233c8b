//! `GET /api/v1/openapi.json`: the service described, from the types that it is made of.

use std::sync::LazyLock;

use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bytes::Bytes;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::problem::{Problem, Refusal};
use super::transfer::{Lifetime, Representation, Stored};
use super::{Shared, jobs, precache, session};
use crate::jobs::model::Job;
use crate::operation::{self, Known, Length};
use crate::precache::Answer;
use crate::trust::Envelope;

const COMPONENTS: &str = "#/components/schemas/";

/// `GET /api/v1/openapi.json`. It is for everybody: it says nothing of what is in the store.
pub(super) async fn openapi(
    State(service): State<Shared>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(format!("{:#}\n", document())));
    let what = Representation {
        tag: blake3::hash(&TEXT).to_hex().to_string(),
        bytes: Stored::Memory(TEXT.clone()),
        media_type: "application/json",
        lifetime: Lifetime::Revalidate,
    };
    Ok(service.transfers.send(what, &method, &headers).await?)
}

/// The description, an OpenAPI 3.1 document.
#[must_use]
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    let mut names = Vec::new();
    for known in operation::ALL {
        paths.insert(address(known), call(known, &mut generator, &mut names));
    }
    paths.extend(others(&mut generator));
    let problem = generator.subschema_for::<Problem>();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "osupg",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": "Keeps operating-system upgrade packages and sends them to distribution \
                points. Every operation is a POST of its request as JSON. A long one answers 202 \
                with a job, whose events can be followed.",
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token, or the token of a session.",
                },
            },
            "responses": {
                "Problem": {
                    "description": "It was not done; the body says why and what to do.",
                    "content": { "application/problem+json": { "schema": problem } },
                },
            },
            "schemas": generator.take_definitions(true),
        },
    });
    for (old, new) in names {
        rename(&mut document, &old, &new);
    }
    document
}

fn address(known: &Known) -> String {
    format!("/api/v1/{}", known.name.replacen('.', "/", 1))
}

/// The path of an operation. Its request, and its outcome where the type is just called so, get
/// names of the operation: `names` is told which.
fn call(
    known: &Known,
    generator: &mut SchemaGenerator,
    names: &mut Vec<(String, String)>,
) -> Value {
    let request = (known.request_schema)(generator).to_value();
    let outcome = (known.outcome_schema)(generator).to_value();
    let component =
        |schema: &Value| schema.get("$ref")?.as_str()?.strip_prefix(COMPONENTS).map(str::to_string);
    let described = component(&request);
    let description = described
        .as_ref()
        .and_then(|name| generator.definitions().get(name)?.get("description").cloned())
        .unwrap_or_default();
    names.extend(described.map(|name| (name, format!("{}.request", known.name))));
    if let Some(name) = component(&outcome).filter(|name| name.starts_with("Outcome")) {
        names.push((name, format!("{}.outcome", known.name)));
    }
    let (area, _) = known.name.split_once('.').unwrap_or((known.name, ""));
    let answer = match known.length {
        Length::Quick => (
            "200",
            json!({
                "description": "It is done.",
                "content": { "application/json": { "schema": outcome } },
            }),
        ),
        Length::Long => {
            let job = generator.subschema_for::<Job>();
            (
                "202",
                json!({
                    "description": "It has become a job, whose outcome will be as `x-outcome` says.",
                    "content": { "application/json": { "schema": job } },
                    "x-outcome": outcome,
                }),
            )
        }
    };
    let mut responses = Map::new();
    responses.insert(answer.0.into(), answer.1);
    responses.insert("default".into(), problem());
    json!({
        "post": {
            "operationId": known.name,
            "tags": [area],
            "summary": description,
            "description": format!("Takes the right to {}.", known.right.word()),
            "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": request } },
            },
            "responses": responses,
        }
    })
}

fn problem() -> Value {
    json!({ "$ref": "#/components/responses/Problem" })
}

/// What is no operation.
fn others(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let json_of = |schema: schemars::Schema, what: &str| {
        json!({
            "description": what,
            "content": { "application/json": { "schema": schema } },
        })
    };
    let job = generator.subschema_for::<Job>();
    let all = generator.subschema_for::<Vec<Job>>();
    let progress = generator.subschema_for::<jobs::Progress>();
    let login = generator.subschema_for::<session::Login>();
    let begun = generator.subschema_for::<session::Begun>();
    let identity = generator.subschema_for::<session::Identity>();
    let envelope = generator.subschema_for::<Envelope>();
    let answer = generator.subschema_for::<Answer>();
    let parameter = |name: &str, place: &str, schema: Value| json!({ "name": name, "in": place, "required": place == "path", "schema": schema });
    let number = json!({ "type": "integer", "format": "int64" });
    let text = json!({ "type": "string" });
    let id = [parameter("id", "path", number.clone())];
    let get = |id: &str, summary: &str, parameters: &[Value], answers: Value| {
        let mut responses = answers;
        if let Some(responses) = responses.as_object_mut() {
            responses.insert("default".into(), problem());
        }
        json!({
            "operationId": id,
            "summary": summary,
            "parameters": parameters,
            "responses": responses,
        })
    };
    let bytes = || {
        let ranges = |what: &str| {
            json!({
                "description": what,
                "headers": {
                    "ETag": { "schema": { "type": "string" } },
                    "Accept-Ranges": { "schema": { "const": "bytes" } },
                },
                "content": { "application/octet-stream": {} },
            })
        };
        json!({
            "200": ranges("All bytes."),
            "206": ranges("The bytes of the range; of several ranges, as multipart/byteranges."),
            "304": { "description": "They are the bytes that If-None-Match names." },
            "416": { "description": "There are no such bytes." },
        })
    };
    let content = |id: &str, summary: &str, parameters: &[Value]| {
        let mut all = parameters.to_vec();
        for name in ["Range", "If-Range", "If-None-Match", "If-Match"] {
            all.push(parameter(name, "header", text.clone()));
        }
        json!({ "get": get(id, summary, &all, bytes()) })
    };
    let plain =
        |what: &str| json!({ "200": { "description": what, "content": { "text/plain": {} } } });
    let mut post_session = get(
        "session.begin",
        "Begins a session with name and password",
        &[],
        json!({ "200": json_of(begun, "The session has begun.") }),
    );
    post_session["security"] = json!([]);
    post_session["requestBody"] =
        json!({ "required": true, "content": { "application/json": { "schema": login } } });
    let mut paths = Map::new();
    let mut add = |path: &str, methods: Value| paths.insert(path.to_string(), methods);
    add(
        "/api/v1/session",
        json!({
            "post": post_session,
            "get": get("session.show", "Whose token it is", &[],
                json!({ "200": json_of(identity, "Whoever holds the token.") })),
            "delete": get("session.end", "Ends the session", &[],
                json!({ "204": { "description": "It has ended." } })),
        }),
    );
    add(
        "/api/v1/jobs",
        json!({
            "get": get("jobs", "Jobs, the latest first", &[
                parameter("state", "query", text.clone()),
                parameter("package", "query", text.clone()),
                parameter("before", "query", number.clone()),
                parameter("limit", "query", number.clone()),
            ], json!({ "200": json_of(all, "The jobs, without their timelines.") })),
        }),
    );
    add(
        "/api/v1/jobs/{id}",
        json!({
            "get": get("jobs.show", "A job with its timeline", &id,
                json!({ "200": json_of(job.clone(), "The job.") })),
        }),
    );
    for (verb, summary) in [
        ("cancel", "Ends a job"),
        ("retry", "Puts a job that is over without success into the queue"),
    ] {
        add(
            &format!("/api/v1/jobs/{{id}}/{verb}"),
            json!({
                "post": get(&format!("jobs.{verb}"), summary, &id,
                    json!({ "200": json_of(job.clone(), "The job as it is now.") })),
            }),
        );
    }
    add(
        "/api/v1/jobs/{id}/events",
        json!({
            "get": get("jobs.events", "How a job gets on, as server-sent events", &[
                id[0].clone(),
                parameter("Last-Event-ID", "header", text.clone()),
            ], json!({ "200": {
                "description": "`progress` (see `x-progress`), `note` (a line of the timeline), and at \
                    last `end` with the whole job.",
                "content": { "text/event-stream": {} },
                "x-progress": progress,
            } })),
        }),
    );
    add(
        "/api/v1/content/objects/{hash}",
        content(
            "content.object",
            "An object of the content library, by its BLAKE3 hash",
            &[parameter("hash", "path", json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" }))],
        ),
    );
    add(
        "/api/v1/content/files/{package}/{revision}/{path}",
        content(
            "content.file",
            "A file of a revision. Its path may hold slashes",
            &[
                parameter("package", "path", text.clone()),
                parameter("revision", "path", number),
                parameter("path", "path", text.clone()),
            ],
        ),
    );
    let mut signed = content(
        "content.revision",
        "The signed document of a revision: its files with their hashes and pieces",
        &[
            parameter("package", "path", text.clone()),
            parameter("revision", "path", json!({ "type": "integer", "format": "int64" })),
        ],
    );
    signed["get"]["responses"]["200"]["content"] =
        json!({ "application/json": { "schema": envelope } });
    add("/api/v1/content/revisions/{package}/{revision}", signed);
    let required = |mut parameter: Value| {
        parameter["required"] = json!(true);
        parameter
    };
    let mut device: Vec<Value> = precache::PARAMETERS
        .iter()
        .map(|(name, _)| parameter(name, "query", text.clone()))
        .collect();
    for one in device.iter_mut().take(2) {
        *one = required(one.take());
    }
    device.push(parameter(
        precache::PACKAGE,
        "query",
        json!({ "type": "array", "items": { "type": "string" } }),
    ));
    add(
        "/api/v1/precache",
        json!({
            "get": get("precache", "What a device fetches before its upgrade, and where it is",
                &device, json!({ "200": json_of(answer, "The packages, with the reasons.") })),
        }),
    );
    let claim = parameter("claim", "path", text.clone());
    add(
        "/api/v1/work/{claim}/files/{sha256}",
        content(
            "work.file",
            "A file that a claimed task takes, by its SHA-256. It takes the right to work",
            &[claim.clone(), parameter("sha256", "path", text.clone())],
        ),
    );
    add(
        "/api/v1/work/{claim}/objects/{hash}",
        json!({
            "put": with_bytes(get("work.object", "Brings a piece of the new WIM of a claimed task, which was \
                offered before, by its BLAKE3 hash. It takes the right to work", &[
                claim,
                parameter("hash", "path", json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" })),
            ], json!({ "204": { "description": "It is there." } }))),
        }),
    );
    add(
        "/api/v1/openapi.json",
        json!({
            "get": get("openapi", "This document", &[],
                json!({ "200": { "description": "It.", "content": { "application/json": {} } } })),
        }),
    );
    for (path, summary) in [
        ("/health/live", "Whether the service runs"),
        ("/health/ready", "Whether it can answer"),
        ("/metrics", "Figures for Prometheus"),
    ] {
        let id = path.trim_start_matches('/').replace('/', ".");
        add(path, json!({ "get": get(&id, summary, &[], plain("It is so.")) }));
    }
    paths
}

/// The same call with bytes that are sent along.
fn with_bytes(mut call: Value) -> Value {
    call["requestBody"] =
        json!({ "required": true, "content": { "application/octet-stream": {} } });
    call
}

/// Gives a component another name, everywhere.
fn rename(document: &mut Value, old: &str, new: &str) {
    if let Some(schemas) =
        document.pointer_mut("/components/schemas").and_then(Value::as_object_mut)
        && let Some(schema) = schemas.remove(old)
    {
        schemas.insert(new.to_string(), schema);
    }
    let (old, new) = (format!("{COMPONENTS}{old}"), format!("{COMPONENTS}{new}"));
    replace(document, &old, &new);
}

fn replace(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::String(text) if text == old => *text = new.to_string(),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, old, new)),
        Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, old, new)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    found.insert(target.clone());
                }
                fields.values().for_each(|field| references(field, found));
            }
            _ => {}
        }
    }

    #[test]
    fn every_operation_is_described_and_every_reference_leads_somewhere() {
        let document = document();
        for known in operation::ALL {
            let call = &document["paths"][address(known)]["post"];
            assert_eq!(call["operationId"], known.name);
            let summary = call["summary"].as_str().unwrap_or_default();
            assert!(!summary.is_empty(), "{} says what it does", known.name);
            let request = format!("{COMPONENTS}{}.request", known.name);
            let schema = &call["requestBody"]["content"]["application/json"]["schema"];
            assert_eq!(schema["$ref"], request.as_str(), "{}", known.name);
        }
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 10);
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }

    /// Clients are made from the description: a change of it is to be seen by whoever makes it.
    #[test]
    fn the_description_is_as_the_snapshot_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let now = format!("{:#}\n", document());
        if std::env::var_os("SNAPSHOT").is_some_and(|what| what == "overwrite") {
            std::fs::write(path, &now).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        let differs = kept.lines().zip(now.lines()).position(|(kept, now)| kept != now);
        let line = differs.unwrap_or(kept.lines().count().min(now.lines().count()));
        let at = |text: &str| text.lines().nth(line).unwrap_or("(nothing)").trim().to_string();
        assert!(
            kept == now,
            "the API is not as docs/openapi.json describes it: line {} is {:?} there and {:?} now. \
             If that is meant, accept it with \
             `SNAPSHOT=overwrite cargo test -p osupg --lib openapi` and say it in CHANGELOG.md",
            line + 1,
            at(&kept),
            at(&now)
        );
    }

    #[test]
    fn unknown_fields_of_requests_are_refused() {
        let document = document();
        for known in operation::ALL {
            let name = format!("{}.request", known.name);
            let schema = &document["components"]["schemas"][&name];
            assert_eq!(schema["additionalProperties"], Value::Bool(false), "{name}: {schema:#}");
        }
    }
}
