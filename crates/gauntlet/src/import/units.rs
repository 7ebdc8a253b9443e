//! Times, counts and amounts of the other gateways in our notation.

/// Longer than a year is refused by our own loader.
const MILLIS_MAX: f64 = 31_536_000_000.0;

/// Milliseconds as we write a duration; none for zero and for what is longer than a year.
pub fn duration(millis: f64) -> Option<String> {
    if !(1.0..=MILLIS_MAX).contains(&millis) {
        return None;
    }
    let millis = millis.round() as u64;
    Some(match millis {
        whole if whole % 3_600_000 == 0 => format!("{}h", whole / 3_600_000),
        // Up to two minutes seconds read better.
        whole if whole % 60_000 == 0 && whole > 120_000 => format!("{}m", whole / 60_000),
        whole if whole % 1000 == 0 => format!("{}s", whole / 1000),
        whole => format!("{whole}ms"),
    })
}

/// Whether a duration of ours is longer than so many seconds.
pub fn is_longer(duration: &str, seconds: u64) -> bool {
    let end = duration.find(|c: char| !c.is_ascii_digit()).unwrap_or(duration.len());
    let millis = match &duration[end..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => 3_600_000,
    };
    duration[..end].parse::<u64>().is_ok_and(|count| count.saturating_mul(millis) > seconds * 1000)
}

/// How a cap of LiteLLM's turns: the beginning of our short field, or a rolling window.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Window {
    /// `daily`, of `daily_usd`.
    Calendar(&'static str),
    /// `24h`, of `window: rolling 24h`.
    Rolling(String),
}

/// `30d`, `24h`, `1mo` …
pub fn window(text: &str) -> Option<Window> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let count: u64 = text[..end].parse().ok().filter(|count| *count > 0)?;
    Some(match (count, &text[end..]) {
        (1, "d") | (24, "h") => Window::Calendar("daily"),
        (7, "d") | (1, "w") => Window::Calendar("weekly"),
        (30, "d") | (1, "mo") => Window::Calendar("monthly"),
        (3, "mo") => Window::Calendar("quarterly"),
        (12, "mo") | (365, "d") => Window::Calendar("yearly"),
        (count, "m") if (10..=43_200).contains(&count) => Window::Rolling(format!("{count}m")),
        (count, "h") if (1..=744).contains(&count) => Window::Rolling(format!("{count}h")),
        (count, "d") if (1..=31).contains(&count) => Window::Rolling(format!("{count}d")),
        _ => return None,
    })
}

/// A decimal amount of dollars in the notation that our loader reads: no exponent, nine places at most.
pub fn usd(text: &str) -> Option<String> {
    let is_plain = !text.is_empty()
        && text.len() <= 20
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.matches('.').count() <= 1
        && text.starts_with(|c: char| c.is_ascii_digit())
        && !text.ends_with('.')
        && text.split_once('.').is_none_or(|(_, places)| places.len() <= 9);
    is_plain.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_people_do() {
        let check = |millis: f64, expected: Option<&str>| assert_eq!(duration(millis).as_deref(), expected);
        check(30_000.0, Some("30s"));
        check(120_000.0, Some("120s"));
        check(600_000.0, Some("10m"));
        check(7_200_000.0, Some("2h"));
        check(1500.0, Some("1500ms"));
        check(0.0, None);
        check(1e20, None);
        check(f64::NAN, None);
        assert_eq!(
            ["300s", "5m", "301s", "6m", "1h", "300001ms"].map(|text| is_longer(text, 300)),
            [false, false, true, true, true, true]
        );
    }

    #[test]
    fn windows_turn_at_the_calendar_where_there_is_one() {
        assert_eq!(window("1d"), Some(Window::Calendar("daily")));
        assert_eq!(window("30d"), Some(Window::Calendar("monthly")));
        assert_eq!(window("6h"), Some(Window::Rolling("6h".to_owned())));
        assert_eq!(
            [window("30s"), window("0d"), window("d"), window(""), window("40d"), window("5m")],
            [const { None }; 6]
        );
    }

    #[test]
    fn amounts_stay_as_they_are_written() {
        assert_eq!([usd("10"), usd("0.50")], [Some("10".to_owned()), Some("0.50".to_owned())]);
        assert_eq!([usd("-1"), usd("1e3"), usd("x"), usd(""), usd("1.")], [const { None }; 5]);
    }
}
