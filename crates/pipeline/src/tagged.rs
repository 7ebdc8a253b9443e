//! Texts looked at by models from directories: names and places, classes of a text. They run on blocking threads, since they
//! take milliseconds where everything else takes microseconds.

use std::time::Duration;

use bytes::Bytes;
use gauntlet_types::{Direction, Finding};
use gauntlet_wire::Kind;

use crate::{call::Call, text::Scanned};

pub(crate) const NAMES: &str = "names";
pub(crate) const CLASSIFIER: &str = "classifier";

/// A model that takes longer holds every call up; some ten thousand words on one core.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the models found in the texts of a body, by the text's number; and which of them failed, and why.
#[derive(Default)]
pub(crate) struct Tagged {
    pub(crate) found: Vec<(usize, Finding)>,
    pub(crate) failed: Vec<(&'static str, String)>,
}

/// Whether any rule asks for a model.
pub(crate) fn is_asked(call: &Call, direction: Direction) -> bool {
    let rules = &call.rules[direction as usize];
    rules.has(NAMES) || rules.has(CLASSIFIER)
}

/// Asks the models about every text that people or models wrote.
pub(crate) async fn look(call: &Call, direction: Direction, texts: &Scanned, body: &Bytes) -> Tagged {
    if !is_asked(call, direction) {
        return Tagged::default();
    }
    let rules = &call.rules[direction as usize];
    let models = call.snapshot.models.clone();
    let names = rules.has(NAMES);
    // The labels that any level fears.
    let feared: Vec<_> = call
        .chain
        .levels()
        .iter()
        .filter_map(|level| level.rules.classes[direction as usize].clone())
        .collect();
    let in_scope = |kind: &str, of| rules.of(kind).any(|voice| voice.rule.scopes.has(of));
    let texts: Vec<(usize, String, bool, bool)> = texts
        .texts
        .iter()
        .enumerate()
        .filter(|(_, looked)| matches!(looked.segment.kind, Kind::Words | Kind::Arguments))
        .map(|(i, looked)| {
            let (text, of) = (looked.segment.as_str(body).to_owned(), looked.segment.scope());
            (i, text, names && in_scope(NAMES, of), in_scope(CLASSIFIER, of))
        })
        .collect();
    let work = tokio::task::spawn_blocking(move || {
        let mut tagged = Tagged::default();
        for (i, text, names, classes) in texts {
            if names && let Some(tagger) = &models.tagger {
                match tagger.names(&text) {
                    Ok(found) => tagged.found.extend(found.into_iter().map(|finding| (i, finding))),
                    Err(why) => tagged.failed.push((NAMES, why)),
                }
            }
            if classes
                && !feared.is_empty()
                && let Some(classifier) = &models.classifier
            {
                match classifier.scores(&text) {
                    Ok(scores) => {
                        let of_fear = |score: &&(gauntlet_types::Name, f32)| feared.contains(&score.0);
                        let worst =
                            scores.iter().filter(of_fear).map(|(_, score)| *score).max_by(f32::total_cmp);
                        let finding =
                            |score| Finding { kind: CLASSIFIER, label: "class", span: 0..text.len(), score };
                        tagged.found.extend(worst.map(|score| (i, finding(score))));
                    }
                    Err(why) => tagged.failed.push((CLASSIFIER, why)),
                }
            }
        }
        tagged
    });
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(tagged)) => tagged,
        Ok(Err(_)) => failed(rules, "the model broke off"),
        Err(_) => failed(rules, "the model took longer than 10 s"),
    }
}

fn failed(rules: &gauntlet_guard::Rulebook, why: &str) -> Tagged {
    let asked = [NAMES, CLASSIFIER].into_iter().filter(|kind| rules.has(kind));
    Tagged { found: Vec::new(), failed: asked.map(|kind| (kind, why.to_owned())).collect() }
}

/// The kind whose failure stops the call.
pub(crate) fn closes(call: &Call, direction: Direction, tagged: &Tagged) -> Option<(&'static str, String)> {
    let rules = &call.rules[direction as usize];
    tagged.failed.iter().find(|(kind, _)| rules.is_closed(kind)).cloned()
}
