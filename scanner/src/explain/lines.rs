//! One JSON object a line in, one a line out.
//!
//! Every line is answered before the next one is read, so that the input may be of any length and a program at the other
//! end of two pipes can wait for each answer.

use std::io::{self, BufRead, Write};

use serde_json::{Map, Value};

/// The fields of one line, of which each is taken once. What is left over is not known to us.
#[derive(Debug)]
pub(super) struct Fields {
    fields: Map<String, Value>,
}

impl Fields {
    /// Reads a line, and says what is wrong with it if it is no JSON object.
    pub(super) fn read(line: &[u8]) -> Result<Self, String> {
        match serde_json::from_slice(line) {
            Ok(Value::Object(fields)) => Ok(Self { fields }),
            Ok(_) => Err("it is no JSON object".to_owned()),
            Err(error) => Err(format!("it is no JSON: {error}")),
        }
    }

    /// A field; one that is null is as good as none.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.remove(name).filter(|value| !value.is_null())
    }

    /// The names of the fields that nobody took, so that a slip of the pen can be told.
    pub(super) fn left_over(&self) -> Vec<&str> {
        self.fields.keys().map(String::as_str).collect()
    }
}

/// Answers each line that is not blank, given with its number.
pub(super) fn answer_each(
    mut input: impl BufRead,
    mut output: impl Write,
    mut answer: impl FnMut(usize, &[u8]) -> serde_json::Result<String>,
) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if !line.trim_ascii().is_empty() {
            writeln!(output, "{}", answer(number, &line)?)?;
            output.flush()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_answered_and_blank_ones_are_only_counted() {
        let mut output = Vec::new();
        answer_each(&b"a\n\n \r\nb"[..], &mut output, |number, line| {
            Ok(format!("{number} {}", line.trim_ascii().len()))
        })
        .unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "1 1\n4 1\n");
    }

    #[test]
    fn a_field_that_nobody_takes_is_left_over_and_null_is_as_good_as_none() {
        let mut fields = Fields::read(br#"{"a": 1, "b": null, "polcy": 2}"#).unwrap();
        assert_eq!((fields.take("a"), fields.take("b")), (Some(Value::from(1)), None));
        assert_eq!(fields.left_over(), ["polcy"]);
        for line in ["{", "[]", "5", "\u{0}"] {
            assert!(Fields::read(line.as_bytes()).is_err(), "{line}");
        }
    }
}
