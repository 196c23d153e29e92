//! The version of this crate, as Python writes it.

/// The version by the rules of PEP 440, so that it is the one in the wheel's metadata: `0.1.0-rc.1` is `0.1.0rc1`.
#[must_use]
pub fn version() -> String {
    as_python(env!("CARGO_PKG_VERSION"))
}

fn as_python(version: &str) -> String {
    let Some((release, before)) = version.split_once('-') else { return version.to_owned() };
    let (kind, number) = before.split_once('.').unwrap_or((before, "0"));
    let kind = match kind {
        "alpha" => "a",
        "beta" => "b",
        "dev" => ".dev",
        other => other,
    };
    format!("{release}{kind}{number}")
}

#[cfg(test)]
mod tests {
    use super::as_python;

    #[test]
    fn a_version_is_written_as_python_does() {
        let pairs = [
            ("0.1.0", "0.1.0"),
            ("0.1.0-dev", "0.1.0.dev0"),
            ("0.1.0-alpha.1", "0.1.0a1"),
            ("1.2.3-beta.12", "1.2.3b12"),
            ("10.0.0-rc.2", "10.0.0rc2"),
        ];
        for (cargo, python) in pairs {
            assert_eq!(as_python(cargo), python);
        }
    }
}
