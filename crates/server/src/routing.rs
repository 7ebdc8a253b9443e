//! Where calls go: how targets are, and why a call would go to which.

use axum::{
    Router,
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
    routing::get,
};
use gauntlet_policy::{
    health::{Measured, View},
    plan::explain::{self, Explained},
};
use gauntlet_types::{Code, Fault, Name, Target};
use serde::Deserialize;
use serde_json::json;

use crate::{
    admin::Admin,
    api::{answer, fault},
};

pub(crate) fn router() -> Router<Admin> {
    Router::new().route("/api/v1/targets", get(targets)).route("/api/v1/route/explain", get(explained))
}

/// Every target that was asked since the start; none where no gateway runs.
async fn targets(State(admin): State<Admin>) -> Response {
    answer(admin, |admin| {
        let lines = admin.shared.as_ref().map(|shared| shared.targets()).unwrap_or_default();
        Ok(json!({"targets": lines, "is_live": admin.shared.is_some()}))
    })
    .await
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    /// A route or a model.
    name: String,
    model: Option<String>,
    tenant: Option<String>,
    key: Option<String>,
    /// With commas between.
    tags: Option<String>,
    task: Option<String>,
    tokens: Option<u32>,
    stream: bool,
    tools: bool,
    images: bool,
}

async fn explained(State(admin): State<Admin>, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    match asked {
        Ok(Query(asked)) => answer(admin, move |admin| asked.explain(admin)).await,
        Err(error) => fault(&Fault::caller(Code::InvalidRequest, error.body_text())),
    }
}

impl Asked {
    fn explain(self, admin: &Admin) -> Result<Explained, Fault> {
        if self.name.is_empty() {
            let message = "nothing is named; add `name=` with a route or a model";
            return Err(Fault::caller(Code::InvalidRequest, message));
        }
        let snapshot = admin.snapshot().ok_or_else(|| {
            let message =
                "the configuration cannot be read, so nobody knows where calls go; `gauntlet check` says why";
            Fault::us(Code::Unavailable, message)
        })?;
        let measured = if self.stream { Measured::FirstToken } else { Measured::Whole };
        let tags = self.tags.as_deref().unwrap_or_default().split(',').map(str::trim);
        let asked = explain::Asked {
            tags: tags.filter(|tag| !tag.is_empty()).map(Name::from).collect(),
            name: self.name,
            model: self.model,
            tenant: self.tenant,
            key: self.key,
            task: self.task,
            tokens: self.tokens,
            stream: self.stream,
            tools: self.tools,
            images: self.images,
        };
        let view = admin
            .shared
            .as_ref()
            .map(|shared| move |target: &Target| -> View { shared.target(target, measured) });
        let views = view.as_ref().map(|view| view as &dyn Fn(&Target) -> View);
        explain::explain(&snapshot.policy, &asked, admin.now(), views)
    }
}
