// Made by `gauntlet prompt codegen`. Do not edit: make it anew when a prompt's variables change.
// The text of a prompt is not in here; the gateway puts it in.
// Needs `serde` (with `derive`) and `serde_json`.

#[doc = "Every type: \"quoted\", */ and ''' too"]
#[derive(Clone, PartialEq, Debug, ::serde::Serialize, ::serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
pub struct AllKinds {
    pub context: ::serde_json::Value,
    pub count: i64,
    pub is_new: bool,
    #[doc = "What the \"user\" asks"]
    pub question: ::std::string::String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub _private: ::std::option::Option<::std::string::String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: ::std::option::Option<::std::string::String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: ::std::option::Option<::serde_json::Map<::std::string::String, ::serde_json::Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_name: ::std::option::Option<::std::string::String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: ::std::option::Option<::serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: ::std::option::Option<::std::string::String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: ::std::option::Option<f64>,
    #[serde(rename = "self")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_: ::std::option::Option<::std::string::String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: ::std::option::Option<::std::vec::Vec<::serde_json::Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r#type: ::std::option::Option<::std::string::String>,
}

#[allow(non_snake_case, clippy::too_many_arguments, clippy::new_without_default)]
impl AllKinds {
    pub const PROMPT: &'static str = "all-kinds@production";
    pub const VERSION: &'static str = "3.2.0";
    pub const HASH: &'static str = "3ba55dcf49973f8e74a1963ca7e33917b2568d9bd853f1730af14aff6267798b";

    /// With what is required; the rest is the gateway's default until it is set.
    pub fn new(context: ::serde_json::Value, count: i64, is_new: bool, question: ::std::string::String) -> AllKinds {
        AllKinds { context, count, is_new, question, _private: None, class: None, meta: None, model_name: None, note: None, schema: None, score: None, self_: None, tags: None, r#type: None }
    }

    /// Says which variable the gateway would refuse.
    pub fn check(&self) -> ::std::result::Result<(), ::std::string::String> {
        if self.context.is_null() {
            return Err("variable `context` must not be null".to_owned());
        }
        if self.question.chars().count() > 5 {
            return Err("variable `question` may have 5 characters".to_owned());
        }
        if self.score.as_ref().is_some_and(|value| !value.is_finite()) {
            return Err("variable `score` must be finite".to_owned());
        }
        if self.tags.as_ref().is_some_and(|value| value.len() > 2) {
            return Err("variable `tags` may have 2 entries".to_owned());
        }
        if self.r#type.as_ref().is_some_and(|value| value.chars().count() > 3) {
            return Err("variable `type` may have 3 characters".to_owned());
        }
        Ok(())
    }

    /// The field `gauntlet` of a chat completion's body.
    pub fn to_gauntlet(&self) -> ::std::result::Result<::serde_json::Value, ::std::string::String> {
        self.check()?;
        let variables = ::serde_json::to_value(self).map_err(|error| error.to_string())?;
        Ok(::serde_json::json!({"prompt": Self::PROMPT, "variables": variables}))
    }
}

#[doc = "The prompt all_kinds."]
#[derive(Clone, PartialEq, Debug, ::serde::Serialize, ::serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case)]
pub struct AllKinds2 {
}

#[allow(non_snake_case, clippy::too_many_arguments, clippy::new_without_default)]
impl AllKinds2 {
    pub const PROMPT: &'static str = "all_kinds@1.0.0";
    pub const VERSION: &'static str = "1.0.0";
    pub const HASH: &'static str = "18cb0de3b9885f9001878b1bff92001ebdb983778edce9f19b202b744fe4bc58";

    /// With what is required; the rest is the gateway's default until it is set.
    pub fn new() -> AllKinds2 {
        AllKinds2 {  }
    }

    /// Says which variable the gateway would refuse.
    pub fn check(&self) -> ::std::result::Result<(), ::std::string::String> {
        Ok(())
    }

    /// The field `gauntlet` of a chat completion's body.
    pub fn to_gauntlet(&self) -> ::std::result::Result<::serde_json::Value, ::std::string::String> {
        self.check()?;
        let variables = ::serde_json::to_value(self).map_err(|error| error.to_string())?;
        Ok(::serde_json::json!({"prompt": Self::PROMPT, "variables": variables}))
    }
}
