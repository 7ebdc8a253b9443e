//! The files that pages refer to, under paths that change with their content, so that browsers may keep them for good.

pub const STYLE: &str = include_str!("../assets/console.css");
pub const SCRIPT: &str = include_str!("../assets/console.js");
/// Without an icon of its own, a browser asks for `/favicon.ico` on every first visit.
pub const ICON: &str = include_str!("../assets/icon.svg");

pub fn style_path() -> String {
    format!("/assets/console.{:016x}.css", STYLE_HASH)
}

pub fn script_path() -> String {
    format!("/assets/console.{:016x}.js", SCRIPT_HASH)
}

pub fn icon_path() -> String {
    format!("/assets/icon.{:016x}.svg", ICON_HASH)
}

const STYLE_HASH: u64 = fnv1a(STYLE.as_bytes());
const SCRIPT_HASH: u64 = fnv1a(SCRIPT.as_bytes());
const ICON_HASH: u64 = fnv1a(ICON.as_bytes());

/// FNV-1a, 64 bits: tells our own releases apart; nobody gains by forging it.
const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn assets_name_no_other_server() {
        for asset in [STYLE, SCRIPT] {
            assert!(!asset.contains("http://") && !asset.contains("https://") && !asset.contains("@import"));
        }
        assert!(SCRIPT.lines().count() <= 100);
    }
}
