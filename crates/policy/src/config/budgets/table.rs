//! Which rules a call meets.

use std::collections::{BTreeMap, HashMap};

use gauntlet_types::{Environment, Name};

use super::rule::{BudgetRule, BudgetScope, CallFacts, Per, Sort, user_of};
use crate::budget::Draw;

/// The rules by the subject that draws on them, for each environment.
#[derive(Default, Debug)]
pub(in super::super) struct Budgets {
    pub(in super::super) rules: Vec<BudgetRule>,
    environments: [Tables; Environment::ALL.len()],
}

#[derive(Default, Debug)]
struct Tables {
    scopes: [Table; BudgetScope::ALL.len()],
    /// Whether a model is named as `provider/model`; else that name need not be written out for each call.
    has_targets: bool,
    is_empty: bool,
}

#[derive(Default, Debug)]
struct Table {
    named: HashMap<Name, Vec<u32>>,
    /// For subjects that are not named.
    each: Vec<u32>,
}

impl Table {
    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.each.is_empty()
    }
}

impl Budgets {
    pub(super) fn new(rules: Vec<BudgetRule>) -> Budgets {
        let environments = Environment::ALL.map(|environment| Tables::new(&rules, environment));
        Budgets { rules, environments }
    }

    /// Adds what a call draws on, in the order of [`BudgetScope`], and its caps per call.
    pub(in super::super) fn draws(
        &self,
        facts: &CallFacts<'_>,
        out: &mut Vec<Draw>,
        per_call: &mut Vec<Draw>,
    ) {
        let tables = &self.environments[facts.caller.environment as usize];
        if tables.is_empty {
            return;
        }
        let mut add = |scope: BudgetScope, name: Option<&str>| {
            let table = &tables.scopes[scope as usize];
            if table.is_empty() {
                return;
            }
            let Some(name) = name else { return };
            for index in table.named.get(name).unwrap_or(&table.each) {
                let rule = &self.rules[*index as usize];
                let draw = rule.draw(*index, name, facts);
                if rule.per == Per::Call { per_call.push(draw) } else { out.push(draw) }
            }
        };
        let (caller, target) = (facts.caller, facts.target);
        add(BudgetScope::Model, Some(&target.model));
        // An alias may have the name of its target; the budget of that name is charged once. Only named budgets are on
        // aliases: for each model, the one that answers pays.
        let models = &tables.scopes[BudgetScope::Model as usize].named;
        if *facts.model != *target.model && models.contains_key(facts.model) {
            add(BudgetScope::Model, Some(facts.model));
        }
        if tables.has_targets {
            let full = target.to_string();
            if *facts.model != *full && *target.model != *full && models.contains_key(full.as_str()) {
                add(BudgetScope::Model, Some(&full));
            }
        }
        add(BudgetScope::Provider, Some(&target.provider));
        add(BudgetScope::Route, Some(facts.route));
        add(BudgetScope::Tenant, Some(&caller.tenant));
        add(BudgetScope::Team, caller.team.as_deref());
        add(BudgetScope::Key, caller.key.as_deref());
        add(BudgetScope::User, Some(user_of(facts)));
        add(BudgetScope::Session, caller.session.as_deref());
        for (at, tag) in caller.tags.iter().enumerate() {
            if !caller.tags[..at].contains(tag) {
                add(BudgetScope::Tag, Some(tag));
            }
        }
        add(BudgetScope::Prompt, facts.prompt);
        add(BudgetScope::Variant, facts.variant);
        add(BudgetScope::Environment, Some(caller.environment.as_str()));
        add(BudgetScope::Everything, Some(super::EVERYTHING));
    }
}

impl Tables {
    fn new(rules: &[BudgetRule], environment: Environment) -> Tables {
        let mut tables = Tables { is_empty: true, ..Tables::default() };
        for scope in BudgetScope::ALL {
            // Of the same sort, a rule of this environment alone stands above one of all, and a name above `*`.
            let mut named: HashMap<Option<Name>, BTreeMap<Sort, u32>> = HashMap::new();
            for own in [false, true] {
                for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.scope == scope) {
                    let is_here = match rule.environment {
                        None => !own,
                        Some(only) => own && only == environment,
                    };
                    if is_here {
                        named.entry(rule.subject.clone()).or_default().insert(rule.sort(), index as u32);
                    }
                }
            }
            let each = named.remove(&None).unwrap_or_default();
            let table = &mut tables.scopes[scope as usize];
            for (name, own) in named {
                let mut all = each.clone();
                all.extend(own);
                let Some(name) = name else { continue };
                tables.has_targets |= scope == BudgetScope::Model && name.contains('/');
                // In the order in which they are written.
                let mut all: Vec<u32> = all.into_values().collect();
                all.sort_unstable();
                table.named.insert(name, all);
            }
            table.each = each.into_values().collect();
            table.each.sort_unstable();
            tables.is_empty &= table.is_empty();
        }
        tables
    }
}
