//! Decimals as they are written, to whole numbers of a smaller unit.

/// A decimal from 0 up, such as `0.15`, `3e-7` or `1.5E-07`, times ten to the power of `places`. Rounded to the nearest
/// whole number, since longer tails are a float's way to spell a shorter decimal. None for anything else, and for what
/// does not fit.
pub(super) fn scaled(text: &str, places: i32) -> Option<u64> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 30 {
        return None;
    }
    let mut number: u128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        number = number * 10 + u128::from(char::from(digit).to_digit(10)?);
    }
    let shift = exponent.checked_add(places)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let number = match shift {
        0.. if number == 0 => 0,
        0.. => number.checked_mul(10u128.checked_pow(shift.unsigned_abs())?)?,
        _ => match 10u128.checked_pow(shift.unsigned_abs()) {
            Some(by) => (number + by / 2) / by,
            None => 0,
        },
    };
    u64::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_without_floats() {
        let check = |text: &str, places: i32, expected: Option<u64>| {
            assert_eq!(scaled(text, places), expected, "{text}");
        };
        check("1.5e-07", 12, Some(150_000));
        check("0.00000015", 12, Some(150_000));
        check("3E-7", 12, Some(300_000));
        check("0", 12, Some(0));
        check("0.0", 12, Some(0));
        check("0.15", 6, Some(150_000));
        check("30", 6, Some(30_000_000));
        check("1e2", 0, Some(100));
        // As floats spell them.
        check("3.0000000000000004e-07", 12, Some(300_000));
        check("1.9999999999999998e-06", 12, Some(2_000_000));
        check("0.04166666666666665", 6, Some(41_667));
        check("4e-13", 12, Some(0));
        check("1e-60", 12, Some(0));
        for bad in ["", "-1", "x", "1e", "1.2.3", "1e99", ".", "99999999999999999999999999999999"] {
            check(bad, 12, None);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_price_of_whole_pico_dollars_is_exact(pico in 0u64..1 << 53) {
            let digits = format!("{pico:013}");
            let (whole, fraction) = digits.split_at(digits.len() - 12);
            proptest::prop_assert_eq!(scaled(&format!("{whole}.{fraction}"), 12), Some(pico));
            proptest::prop_assert_eq!(scaled(&format!("{pico}e-12"), 12), Some(pico));
        }
    }
}
