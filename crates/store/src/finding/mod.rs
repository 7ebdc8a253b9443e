//! Finding calls among millions, whatever database they are in: what is indexed of a call, what a question looks for, and the
//! walk that puts a page together within bounded time. Adapters bring the index and the rows; see `docs/adr/0010`.

pub(crate) mod step;
pub(crate) mod terms;
pub(crate) mod text;
pub(crate) mod walk;
pub(crate) mod words;
