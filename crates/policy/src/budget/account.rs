//! One budget's figures.

use std::collections::VecDeque;

use gauntlet_types::{Charge, Day, Drawn, Timestamp};

use super::{Cap, Draw, Refused, Rolling, Short, part_of};

pub(super) struct Account {
    /// Of a rolling budget, without period and part.
    pub(super) charge: Charge,
    /// Of a rolling budget: within its window as last looked at.
    pub(super) spent: i64,
    pub(super) held: i64,
    /// Open holds on it. While there are any, the account keeps its place.
    holds: u32,
    /// Since it was last asked whether it rests.
    is_used: bool,
    /// As last seen; none until a call asks.
    pub(super) cap: Option<Cap>,
    /// The highest step that was told, in percent.
    told: u8,
    window: Option<Box<Window>>,
    pub(super) slice: Option<Box<Slice>>,
}

/// What a rolling budget spent in each part of its window, oldest first.
struct Window {
    rolling: Rolling,
    parts: VecDeque<(i64, i64)>,
    /// The newest part seen.
    now: i64,
}

/// This replica's share of a cap.
#[derive(Default)]
pub(super) struct Slice {
    /// Spent and held together may reach this.
    pub(super) ceiling: i64,
    /// Spent by others, as last heard.
    pub(super) elsewhere: i64,
    /// Reserved since the last exchange: how fast it is used.
    pub(super) recent: i64,
    /// The largest amount that a call waits for.
    pub(super) need: i64,
    pub(super) is_active: bool,
}

/// A budget took a step up: somebody should be told. Reported once per budget and period, by whichever call did it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crossed {
    pub charge: Charge,
    pub cap: i64,
    pub spent: i64,
    /// The step that was reached; 100 when the budget is used up: spent to its cap, or so near that a call was refused.
    pub percent: u8,
}

/// One account, for pages and metrics. Amounts in what the charge measures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub charge: Charge,
    pub spent: i64,
    pub held: i64,
    /// Spent by other replicas, as last heard.
    pub elsewhere: i64,
    /// The cap that calls last came with; none if none came since the start.
    pub cap: Option<i64>,
}

impl Account {
    pub(super) fn new(charge: Charge, rolling: Option<Rolling>, is_shared: bool) -> Account {
        Account {
            charge,
            spent: 0,
            held: 0,
            holds: 0,
            is_used: true,
            cap: None,
            told: 0,
            window: rolling
                .map(|rolling| Box::new(Window { rolling, parts: VecDeque::new(), now: i64::MIN })),
            slice: is_shared.then(Box::default),
        }
    }

    pub(super) fn line(&self) -> Line {
        Line {
            charge: self.charge.clone(),
            spent: self.spent,
            held: self.held,
            elsewhere: self.elsewhere(),
            cap: self.cap.map(|cap| cap.amount),
        }
    }

    pub(super) fn rolling(&self) -> Option<Rolling> {
        self.window.as_ref().map(|window| window.rolling)
    }

    fn elsewhere(&self) -> i64 {
        self.slice.as_ref().map_or(0, |slice| slice.elsewhere)
    }

    /// Whether it never turns and was not used since this was last asked.
    pub(super) fn rest(&mut self) -> bool {
        let was_used = std::mem::take(&mut self.is_used);
        !was_used && self.holds == 0 && self.charge.period.is_none() && self.window.is_none()
    }

    pub(super) fn hold(&mut self, amount: Drawn) {
        let amount = self.charge.amount(&amount);
        self.held = self.held.saturating_add(amount);
        self.holds += 1;
        if let Some(slice) = &mut self.slice {
            slice.recent = slice.recent.saturating_add(amount);
        }
    }

    pub(super) fn release(&mut self, amount: Drawn) {
        self.held = self.held.saturating_sub(self.charge.amount(&amount));
        self.holds -= 1;
        self.is_used = true;
    }

    pub(super) fn load(&mut self, charge: &Charge, spent: i64) {
        let Some(window) = &mut self.window else {
            self.spent = spent;
            return;
        };
        let part = part_of(charge, Some(window.rolling));
        match window.parts.iter_mut().find(|(number, _)| *number == part) {
            Some(known) => known.1 = spent,
            None => {
                let at = window.parts.partition_point(|(number, _)| *number < part);
                window.parts.insert(at, (part, spent));
            }
        }
        window.now = window.now.max(part);
        self.evict();
    }

    /// Adds to what is spent; `part` says where in a rolling window.
    pub(super) fn spend(&mut self, part: i64, amount: i64) {
        let Some(window) = &mut self.window else {
            self.spent = self.spent.saturating_add(amount);
            return;
        };
        let at = window.parts.partition_point(|(number, _)| *number < part);
        match window.parts.get_mut(at).filter(|(number, _)| *number == part) {
            Some((_, spent)) => *spent = spent.saturating_add(amount),
            None => window.parts.insert(at, (part, amount)),
        }
        window.now = window.now.max(part);
        self.evict();
    }

    /// Lets what lies before a rolling window go.
    pub(super) fn turn_to(&mut self, now: Timestamp) {
        let Some(rolling) = self.rolling() else { return };
        let part_us = 86_400_000_000 / i64::from(rolling.parts_per_day);
        self.turn_to_part(now.0.div_euclid(part_us));
    }

    pub(super) fn turn_to_part(&mut self, part: i64) {
        if let Some(window) = &mut self.window
            && window.now < part
        {
            window.now = part;
            self.evict();
        }
    }

    fn evict(&mut self) {
        let Some(window) = &mut self.window else { return };
        let first = window.now.saturating_sub(i64::from(window.rolling.parts));
        while window.parts.front().is_some_and(|(part, _)| *part < first) {
            window.parts.pop_front();
        }
        let spent = window.parts.iter().fold(0_i64, |sum, (_, spent)| sum.saturating_add(*spent));
        self.spent = spent;
        if let Some(cap) = self.cap {
            self.told = self.told.min(self.step(cap));
        }
    }

    /// Nothing that a call of today or later would ask about.
    pub(super) fn is_past(&mut self, day: Day) -> bool {
        if self.holds > 0 {
            return false;
        }
        if self.window.is_some() {
            self.turn_to(day.start());
            // A part in which nothing was spent may still be corrected, by a call that was reaped and reports.
            return self.window.as_ref().is_none_or(|window| window.parts.is_empty());
        }
        self.charge.period.is_some_and(|period| period < day)
    }

    /// Notes the cap that applies now. The first one seen takes the spend as it stands, so that a restart does not
    /// repeat alerts; a raised one lowers the step, so that it can be reached again.
    pub(super) fn see_cap(&mut self, cap: Cap, is_repeat: bool) {
        let cap = match (is_repeat, self.cap) {
            (true, Some(known)) if known.amount < cap.amount => known,
            _ => cap,
        };
        match self.cap.replace(cap) {
            Some(known) if known == cap => {}
            Some(_) => self.told = self.told.min(self.step(cap)),
            None => self.told = self.step(cap),
        }
    }

    pub(super) fn step_up(&mut self) -> Option<Crossed> {
        let step = self.step(self.cap?);
        self.raise(step)
    }

    fn raise(&mut self, step: u8) -> Option<Crossed> {
        if step <= self.told {
            return None;
        }
        self.told = step;
        let spent = self.spent.saturating_add(self.elsewhere());
        Some(Crossed { charge: self.charge.clone(), cap: self.cap?.amount, spent, percent: step })
    }

    /// The highest step that is reached by what is spent (holds are upper bounds, and would cry wolf).
    fn step(&self, cap: Cap) -> u8 {
        let spent = i128::from(self.spent) + i128::from(self.elsewhere());
        if spent <= 0 {
            // A cap of nothing is not used up before something is spent.
            return 0;
        }
        let amount = i128::from(cap.amount);
        let is_reached = |step: u8| step > 0 && spent * 100 >= amount * i128::from(step);
        if is_reached(100) {
            return 100;
        }
        cap.steps.into_iter().filter(|step| is_reached(*step)).max().unwrap_or(0)
    }

    /// Why a call that wants so much cannot be held here.
    pub(super) fn refusal(&mut self, index: usize, draw: &Draw, wanted: i64) -> Option<Box<Refused>> {
        self.turn_to_part(part_of(&draw.charge, draw.cap.rolling));
        // Wide enough for any amounts, so that no overflow can look like room.
        let wide = i128::from;
        let own = wide(self.spent) + wide(self.held);
        let (spent, cap) = (wide(self.spent) + wide(self.elsewhere()), wide(draw.cap.amount));
        let short = if own + wide(self.elsewhere()) + wide(wanted) > cap {
            Short::Cap
        } else if self.slice.as_ref().is_some_and(|slice| own + wide(wanted) > wide(slice.ceiling)) {
            Short::Slice
        } else {
            return None;
        };
        if let (Short::Slice, Some(slice)) = (short, &mut self.slice) {
            slice.need = slice.need.max(wanted);
            self.see_cap(draw.cap, false);
        }
        let missing = own + wide(self.elsewhere()) + wide(wanted) - cap;
        Some(Box::new(Refused {
            index,
            charge: draw.charge.clone(),
            cap: draw.cap,
            spent: i64::try_from(spent).unwrap_or(i64::MAX),
            held: self.held,
            wanted,
            short,
            until: self.freed(missing),
        }))
    }

    /// A call was turned away. The budget counts as full if the spend alone leaves no room for a call that a fresh budget
    /// would hold; neither holds nor giants make it so.
    pub(super) fn used_up(&mut self, cap: Cap, wanted: i64) -> Option<Crossed> {
        let wide = i128::from;
        let spent = wide(self.spent) + wide(self.elsewhere());
        if wanted > cap.amount || spent + wide(wanted) <= wide(cap.amount) {
            return None;
        }
        self.see_cap(cap, false);
        self.raise(100)
    }

    /// When a rolling window will have let so much go.
    fn freed(&self, missing: i128) -> Option<Timestamp> {
        let window = self.window.as_ref()?;
        let mut left = missing;
        let last = window.parts.iter().find(|(_, spent)| {
            left -= i128::from(*spent);
            left <= 0
        })?;
        let part_us = 86_400_000_000 / i64::from(window.rolling.parts_per_day);
        Some(Timestamp((last.0 + i64::from(window.rolling.parts) + 1).saturating_mul(part_us)))
    }
}
