//! What became of each setting of the source. Nothing is left out in silence: a field that no reader asked for ends here
//! too, when its map is finished (`walk`).

/// The cure of what needs none.
pub const NOTHING: &str = "nothing";

/// A place in the source.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Place {
    /// As `model_list[0].litellm_params.rpm`.
    pub path: String,
    /// From 1.
    pub line: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapped {
    pub from: Place,
    /// File and field of ours, as `gauntlet.yml: providers.openai`.
    pub to: String,
    /// What is not quite the same; empty where it is.
    pub note: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unmapped {
    pub from: Place,
    pub why: String,
    /// What to do by hand.
    pub cure: String,
}

#[derive(Clone, Default, Debug)]
pub struct Notes {
    pub mapped: Vec<Mapped>,
    pub unmapped: Vec<Unmapped>,
}

impl Notes {
    pub fn mapped(&mut self, from: &Place, to: impl Into<String>, note: impl Into<String>) {
        self.mapped.push(Mapped { from: from.clone(), to: to.into(), note: note.into() });
    }

    pub fn unmapped(&mut self, from: &Place, why: impl Into<String>, cure: impl Into<String>) {
        self.unmapped.push(Unmapped { from: from.clone(), why: why.into(), cure: cure.into() });
    }

    /// In the order of the source.
    pub fn sort(&mut self) {
        self.mapped.sort_by_key(|one| one.from.line);
        self.unmapped.sort_by_key(|one| one.from.line);
    }
}
