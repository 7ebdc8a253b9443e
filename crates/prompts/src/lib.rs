//! Prompts as files: one versioned entry a file, checked when it is read, rendered with typed variables.
//!
//! Pure: texts come in, values go out. Reading the folder, keeping versions for good and moving labels is done by
//! others with what this gives them ([`Prompt::stored`], [`Registry::resolve`]).
//!
//! [`codegen`] makes typed wrappers of their variables for applications.
//!
//! Text is data: a variable's value is put in as it stands and never read as a template.

pub mod codegen;
pub mod diff;
pub mod error;
pub mod fields;
pub mod file;
pub mod history;
pub mod prompt;
pub mod registry;
pub mod shape;
pub mod variable;

mod canonical;
mod jinja;

mod string_template;

pub use error::PromptError;
pub use fields::CallFields;
pub use file::{FILE_BYTES_MAX, parse};
pub use prompt::{Engine, Message, Prompt, RENDERED_BYTES_MAX, Rendered, Risk};
pub use registry::{LATEST, Labels, PRODUCTION, Registry, is_named_well, label_mistake};
pub use shape::{Bump, Change};
pub use variable::{Kind, Variable};
