//! Numbers in values and arguments: whole ones as they are written one way only, and decimal ones, which are added
//! without a loss.

/// A whole number, written as a number is printed: no plus, no leading zero, no space.
pub fn integer(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let is_plain = match digits {
        [b'0'] => digits.len() == bytes.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !is_plain {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// Digits behind the point.
const SCALE: usize = 17;

/// A decimal number: so many parts of 10^17, or what is too large for that.
#[derive(Clone, Copy, Debug)]
pub enum Decimal {
    /// Exact.
    Exact(i128),
    /// As near as it gets.
    Large(f64),
}

impl Decimal {
    /// Reads one, like 10.5, -3 or 5.0e3.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let number: f64 = text.parse().ok()?;
        if number.is_nan() {
            return None;
        }
        Some(Self::exact(text).map_or(Self::Large(number), Self::Exact))
    }

    fn exact(text: &str) -> Option<i128> {
        let (text, is_negative) = match text.strip_prefix('-') {
            Some(text) => (text, true),
            None => (text.strip_prefix('+').unwrap_or(text), false),
        };
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut number: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            let digit = digit.is_ascii_digit().then(|| i128::from(digit - b'0'))?;
            number = number.checked_mul(10)?.checked_add(digit)?;
        }
        let shift = i64::from(exponent) + SCALE as i64 - fraction.len() as i64;
        let power = 10_i128.checked_pow(u32::try_from(shift.unsigned_abs()).ok()?);
        let number = match shift >= 0 {
            true => number.checked_mul(power?)?,
            // What is behind the last digit is rounded.
            false => power.map_or(0, |power| {
                number / power + i128::from(number % power >= power - power / 2)
            }),
        };
        Some(if is_negative { -number } else { number })
    }

    /// The sum; none if it is infinite, or not a number.
    pub fn plus(self, other: Self) -> Option<Self> {
        if let (Self::Exact(one), Self::Exact(other)) = (self, other)
            && let Some(sum) = one.checked_add(other)
        {
            return Some(Self::Exact(sum));
        }
        let sum = self.float() + other.float();
        sum.is_finite().then_some(Self::Large(sum))
    }

    fn float(self) -> f64 {
        match self {
            Self::Exact(number) => number as f64 / 10_f64.powi(SCALE as i32),
            Self::Large(number) => number,
        }
    }

    /// As it is kept: no exponent, and no zeros at the end.
    pub fn text(self) -> String {
        let number = match self {
            Self::Large(number) => return format!("{number}"),
            Self::Exact(number) => number,
        };
        let one = 10_u128.pow(SCALE as u32);
        let (whole, fraction) = (number.unsigned_abs() / one, number.unsigned_abs() % one);
        let sign = if number < 0 { "-" } else { "" };
        let text = format!("{sign}{whole}.{fraction:0SCALE$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Decimal, integer};

    fn sum(one: &str, other: &str) -> Option<String> {
        let number = |text: &str| Decimal::parse(text.as_bytes());
        Some(number(one)?.plus(number(other)?)?.text())
    }

    #[test]
    fn whole_numbers_are_written_one_way() {
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        for wrong in [
            "",
            "-",
            "+1",
            "01",
            "-0",
            " 1",
            "1 ",
            "1.0",
            "9223372036854775808",
        ] {
            assert_eq!(integer(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn decimals_add_up() {
        for (one, other, expected) in [
            ("10.50", "0.1", "10.6"),
            ("0.1", "0.2", "0.3"),
            ("5.0e3", "2.0e2", "5200"),
            ("-1", "1", "0"),
            ("-0.5", "0.25", "-0.25"),
            ("1e-30", "3", "3"),
            ("1e30", "0", "1000000000000000000000000000000"),
        ] {
            assert_eq!(
                sum(one, other).as_deref(),
                Some(expected),
                "{one} + {other}"
            );
        }
        for (one, other) in [
            ("x", "1"),
            ("", "1"),
            ("nan", "1"),
            ("1", "inf"),
            ("1e308", "1e308e"),
        ] {
            assert_eq!(sum(one, other), None, "{one} + {other}");
        }
    }

    proptest! {
        #[test]
        fn any_whole_number_is_read_as_it_is_printed(number: i64) {
            prop_assert_eq!(integer(number.to_string().as_bytes()), Some(number));
        }

        #[test]
        fn any_text_is_a_number_or_none(text in "[0-9.eE+-]{0,12}", other: f64) {
            let _ = sum(&text, &other.to_string());
        }
    }
}
