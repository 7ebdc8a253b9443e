//! What a provider can be asked, and where it differs from what its dialect says.

use std::fmt;

/// A kind of request that a provider may serve.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Service {
    /// A conversation in the provider's own dialect: chat completions, messages, `generateContent`, Converse.
    Chat,
    /// OpenAI's Responses.
    Responses,
    /// Anthropic's Messages, at a provider whose own dialect is OpenAI's.
    Messages,
    /// OpenAI's completions of one text.
    Completions,
    /// In OpenAI's form, or in that of the provider's own dialect.
    Embeddings,
    /// This and all down to batches in OpenAI's form.
    Moderations,
    Images,
    Audio,
    Rerank,
    Files,
    Batches,
    /// A list of its models.
    Models,
    /// The tokens of a request, counted without answering it.
    CountTokens,
}

impl Service {
    pub const ALL: [Service; 13] = [
        Service::Chat,
        Service::Responses,
        Service::Messages,
        Service::Completions,
        Service::Embeddings,
        Service::Moderations,
        Service::Images,
        Service::Audio,
        Service::Rerank,
        Service::Files,
        Service::Batches,
        Service::Models,
        Service::CountTokens,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Service::Chat => "chat",
            Service::Responses => "responses",
            Service::Messages => "messages",
            Service::Completions => "completions",
            Service::Embeddings => "embeddings",
            Service::Moderations => "moderations",
            Service::Images => "images",
            Service::Audio => "audio",
            Service::Rerank => "rerank",
            Service::Files => "files",
            Service::Batches => "batches",
            Service::Models => "models",
            Service::CountTokens => "count_tokens",
        }
    }

    pub fn parse(text: &str) -> Option<Service> {
        Service::ALL.into_iter().find(|service| service.as_str() == text)
    }
}

/// The services of one provider.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Services(u16);

impl Services {
    #[must_use]
    pub const fn with(self, service: Service) -> Services {
        Services(self.0 | 1 << service as u16)
    }

    pub const fn has(self, service: Service) -> bool {
        self.0 & 1 << service as u16 != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Service> {
        Service::ALL.into_iter().filter(move |service| self.has(*service))
    }
}

impl FromIterator<Service> for Services {
    fn from_iter<I: IntoIterator<Item = Service>>(services: I) -> Services {
        services.into_iter().fold(Services::default(), Services::with)
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Service::as_str)).finish()
    }
}

/// Where a provider departs from what its dialect leads one to expect.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Quirks {
    /// Knows only the old `max_tokens`; `max_completion_tokens` is refused or, worse, ignored.
    pub has_old_limit: bool,
    /// Refuses `stream_options`, so usage cannot be asked for.
    pub has_no_stream_options: bool,
    /// Streams tell no usage, whatever is asked: tokens must be counted here.
    pub sends_no_usage: bool,
    /// Streams tell usage unasked, in their last chunk or in each.
    pub sends_usage_unasked: bool,
}
