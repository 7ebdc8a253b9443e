//! The management API of guards: what holds for a call, what another policy would have decided, what was found on a call.

pub mod backtest;
mod evidence;
mod findings;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Query, State, rejection::QueryRejection},
    response::Response,
    routing::{get, post},
};
use gauntlet_policy::guard::explain::{self, Explained};
use gauntlet_types::{Code, Fault};

use crate::{
    admin::Admin,
    api::{answer, fault},
};

/// A policy and the schemas that it names.
const POLICY_MAX: usize = 8 << 20;

pub(crate) fn router() -> Router<Admin> {
    Router::new()
        .route("/api/v1/guard/explain", get(explained))
        .route("/api/v1/guard/findings", post(findings::find))
        .route("/api/v1/guard/backtest", post(backtest::page).layer(DefaultBodyLimit::max(POLICY_MAX)))
}

fn bad(message: impl Into<String>) -> Fault {
    Fault::caller(Code::InvalidRequest, message.into())
}

fn no_configuration() -> Fault {
    let message =
        "the configuration cannot be read, so nobody knows which guards hold; `gauntlet check` says why";
    Fault::us(Code::Unavailable, message)
}

/// `tenant`, `route`, `key`, and `policy` as often as needed.
async fn explained(
    State(admin): State<Admin>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let asked = match query {
        Ok(Query(pairs)) => Asked::read(pairs),
        Err(error) => Err(bad(error.body_text())),
    };
    match asked {
        Ok(asked) => answer(admin, move |admin| asked.explain(admin)).await,
        Err(why) => fault(&why),
    }
}

#[derive(Default)]
struct Asked {
    tenant: Option<String>,
    route: Option<String>,
    key: Option<String>,
    policies: Vec<String>,
}

impl Asked {
    fn read(pairs: Vec<(String, String)>) -> Result<Asked, Fault> {
        let mut asked = Asked::default();
        for (name, value) in pairs {
            match name.as_str() {
                "tenant" => asked.tenant = Some(value),
                "route" => asked.route = Some(value),
                "key" => asked.key = Some(value),
                "policy" => asked.policies.push(value),
                _ => {
                    return Err(bad(format!(
                        "there is no parameter `{name}`; use tenant, route, key, policy"
                    )));
                }
            }
        }
        Ok(asked)
    }

    fn explain(&self, admin: &Admin) -> Result<Explained, Fault> {
        let snapshot = admin.snapshot().ok_or_else(no_configuration)?;
        let asked = explain::Asked {
            tenant: self.tenant.as_deref(),
            route: self.route.as_deref(),
            key: self.key.as_deref(),
            policies: &self.policies,
        };
        let explained = explain::explain(&snapshot.policy, &asked, admin.now());
        explained.map_err(|error| Fault::caller(Code::NotFound, error.to_string()))
    }
}
