//! `GET /api/v1/precache`: what a device fetches, asked by the device itself.
//!
//! The same answer as the operation `precache.simulate` gives, for clients that know no more than a
//! URL: what is fetched, why, its size and digest, and where its signed document and its files are.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use serde_json::{Map, Value};
use wim_extract::Cancel;

use super::call::CancelOnDrop;
use super::identity::Peer;
use super::problem::Refusal;
use super::{Shared, content};
use crate::accounts::{Caller, Scopes, Sight};
use crate::error::{Error, Result};
use crate::operation::Known;
use crate::precache::Request;
use crate::progress::Silent;
use crate::text;

/// The parameters that a device gives once, and the fields of the request that they are.
pub(super) const PARAMETERS: [(&str, &str); 5] = [
    ("arch", "architecture"),
    ("os-language", "os_language"),
    ("model", "model"),
    ("edition", "edition"),
    ("os-build", "os_build"),
];
/// The parameter that may be repeated.
pub(super) const PACKAGE: &str = "package";

/// `GET /api/v1/precache?arch=x64&os-language=en-US&model=…`. It is for those to whom content is
/// given.
pub(super) async fn precache(
    State(service): State<Shared>,
    from: Peer,
    headers: HeaderMap,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    let caller = content::reader(&service, from, &headers).await?;
    let request = request(parameters)?;
    let known = const { Known::of::<Request>() };
    let named = known.facts(&request)?.named;
    if let Some(caller) = &caller {
        caller.may_see_all(&service.home, &named).await?;
    }
    let turn = Arc::clone(&service.devices).acquire_owned().await;
    let (home, cancel) = (service.home.clone(), Cancel::new());
    let _unheard = CancelOnDrop(cancel.clone());
    // The turn is over when the work is, even if the device has gone away.
    let work = tokio::spawn(async move {
        let _turn = turn;
        known.run(request, home, Arc::new(Silent), cancel).await
    });
    let answer = work.await.map_err(Error::from)??;
    let Some(Caller { scopes: scopes @ Scopes::Only(_), .. }) = &caller else {
        return Ok(Json(answer));
    };
    let sight = Sight::of(&service.home.db, scopes).await?;
    Ok(Json(known.limit(answer, &sight)?))
}

/// The request that the parameters of an address make.
fn request(parameters: Vec<(String, String)>) -> Result<Value> {
    let mut request = Map::new();
    let mut packages = Vec::new();
    for (name, value) in parameters {
        if name == PACKAGE {
            packages.push(Value::from(value));
            continue;
        }
        let Some((_, field)) = PARAMETERS.iter().find(|(parameter, _)| *parameter == name) else {
            return Err(wrong(&format!("{:?} is no parameter", text::clean(&name))));
        };
        if request.insert((*field).to_string(), Value::from(value)).is_some() {
            return Err(wrong(&format!("{name} is given twice")));
        }
    }
    for (parameter, field) in &PARAMETERS[..2] {
        if !request.contains_key(*field) {
            return Err(wrong(&format!("{parameter} is missing")));
        }
    }
    request.insert("packages".into(), Value::Array(packages));
    Ok(Value::Object(request))
}

fn wrong(what: &str) -> Error {
    let names: Vec<_> = PARAMETERS.iter().map(|(name, _)| *name).collect();
    Error::usage(format!("a device cannot be told what to fetch: {what}"))
        .advise(format!("the parameters are {} and {PACKAGE}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_a_request_or_are_named() {
        let of = |given: &[(&str, &str)]| {
            let given = given.iter().map(|(name, value)| (name.to_string(), value.to_string()));
            super::request(given.collect())
        };
        let (arch, language) = (("arch", "x64"), ("os-language", "1033"));
        let request = of(&[arch, language, ("package", "A@2"), ("package", "B")]).unwrap();
        let parsed: Request = serde_json::from_value(request).unwrap();
        assert_eq!((parsed.packages.len(), &*parsed.os_language), (2, "1033"));
        for (given, says) in [
            (&[arch][..], "os-language is missing"),
            (&[language], "arch is missing"),
            (&[arch, arch, language], "arch is given twice"),
            (&[arch, language, ("colour", "red")], "\"colour\" is no parameter"),
        ] {
            let error = of(given).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
